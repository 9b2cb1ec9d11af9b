"""What each atom of a molecule adds to a prediction.

A D-MPNN and GIN give their head a sum of atom vectors h_i, each an atom with its surroundings. Growing all of them
together from nothing, t h_i for t from 0 to 1, takes the head from its value for an empty molecule to the prediction,
and each atom is credited with what its vector does on the way:

    contribution_i = integral over t of h_i . gradient of head(t h), h = sum_i h_i

These are integrated gradients (Sundararajan et al., arXiv:1703.01365), the Aumann-Shapley values of the atoms: they add
up to prediction - baseline. Nothing is masked, so the network is only asked about molecules that exist and their scaled
vectors, and the cost is that of one prediction.

Shapes: B molecules, A atoms of all of them behind one another, M members, C width, T properties.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from common.app.errors import ConfigError
from materials.models.molecular_batch import Bags, EnvironmentBatch, MolecularGraphBatch

STEPS = 1000
"""Of the integral by the midpoint rule: a ReLU head is linear between kinks, which the rule misplaces by 1/2000."""


class AtomContributions(NamedTuple):
    """In the properties' units, or logits of classes; means over an ensemble's members.

    value     [A, T] what each atom adds
    baseline  [B, T] what the head says without atoms (of the molecule's descriptors alone, where it takes some)
    """

    value: Tensor
    baseline: Tensor


def atom_contributions(model: nn.Module, batch: EnvironmentBatch | MolecularGraphBatch) -> AtomContributions:
    """Of a molecular network with `fingerprint` and `head`.

    Raises ConfigError for a network whose fingerprint is no sum over atoms (AttentiveFP).
    """
    with torch.no_grad():
        vectors, owner = _atom_vectors(model, batch)
        fingerprint = vectors.new_zeros(len(batch), *vectors.shape[1:]).index_add_(0, owner, vectors)
        whole = model.fingerprint(batch).reshape(fingerprint.shape)  # pyright: ignore
        if not torch.allclose(fingerprint, whole, rtol=1e-3, atol=1e-3 * float(whole.abs().max())):
            raise ConfigError(
                f"{type(model).__name__} does not sum over atoms, so that its predictions do not split into theirs; "
                "explain a model of architecture dmpnn or gin"
            )
        baseline = model.head(torch.zeros_like(fingerprint), batch.descriptors).mean(dim=1)  # pyright: ignore
    gradient = _mean_gradient(model.head, fingerprint, batch.descriptors)  # pyright: ignore
    return AtomContributions(torch.einsum("amc,abmc->ab", vectors, gradient[owner]), baseline)


def _atom_vectors(model: Any, batch: EnvironmentBatch | MolecularGraphBatch) -> tuple[Tensor, Tensor]:
    """[A, M, C] whose sums over a molecule are its fingerprint, and which molecule each belongs to [A].

    The network reads every atom out as if it were a molecule of its own, after the messages between them.
    """
    if isinstance(batch, EnvironmentBatch):
        owner = torch.repeat_interleave(batch.n_atoms)
        alone = Bags(batch.molecules.index, torch.arange(len(owner), device=owner.device))
        return model.fingerprint(replace(batch, molecules=alone, n_atoms=batch.n_atoms[owner])), owner
    place = torch.arange(len(batch.owner), device=batch.owner.device)
    vectors = model.fingerprint(replace(batch, owner=place, molecules=len(place)))
    count = torch.bincount(batch.owner, minlength=len(batch))[batch.owner]
    return (vectors / count[:, None])[:, None], batch.owner


@torch.enable_grad()
def _mean_gradient(head: nn.Module, fingerprint: Tensor, descriptors: Tensor) -> Tensor:
    """Of the members' mean with respect to the fingerprint [B, M, C], along its growth from zero: [B, T, M, C]."""
    growth = (torch.arange(STEPS, device=fingerprint.device) + 0.5) / STEPS
    results = []
    for vector, own in zip(fingerprint, descriptors, strict=True):
        path = (growth[:, None, None] * vector).requires_grad_()
        output = head(path, own.expand(STEPS, -1)).mean(dim=1)
        columns = output.sum(dim=0).unbind()
        results.append(torch.stack([torch.autograd.grad(one, path, retain_graph=True)[0].mean(0) for one in columns]))
    return torch.stack(results)
