"""Tensors under their official names, and a record of which have found their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from common.app.errors import CheckpointError

Model = TypeVar("Model", bound=nn.Module)
State = dict[str, Tensor]


class Source:
    """Named tensors of a file; `take` hands one out and ticks it off."""

    def __init__(self, tensors: Mapping[str, Tensor], name: str) -> None:
        self.tensors, self.name = tensors, name
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def take(self, name: str) -> Tensor:
        """Raises CheckpointError if there is no such tensor."""
        if name not in self.tensors:
            raise CheckpointError(f"{self.name} has no tensor '{name}'; is it a checkpoint of another model?")
        self._taken.add(name)
        return self.tensors[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor that may still be taken."""
        shape = tuple(self.take(name).shape)
        self._taken.discard(name)
        return shape

    def count(self, prefix: str) -> int:
        """How many numbers follow `prefix` in names: blocks of a stack."""
        return len({name[len(prefix) :].split(".")[0] for name in self.tensors if name.startswith(prefix)})

    def layer(self, theirs: str, ours: str) -> State:
        """Weight of a linear layer, norm or embedding, and bias where it has one."""
        state = {f"{ours}.weight": self.take(f"{theirs}.weight")}
        if f"{theirs}.bias" in self:
            state[f"{ours}.bias"] = self.take(f"{theirs}.bias")
        return state

    def joined(self, theirs: Iterable[str], ours: str) -> State:
        """Several linear layers as one, their outputs one after another."""
        parts = [self.layer(name, "") for name in theirs]
        return {f"{ours}{end}": torch.cat([part[end] for part in parts]) for end in parts[0]}

    def fill(self, model: Model, state: State, ignored: tuple[str, ...] = ()) -> Model:
        """The model with these weights.

        ignored  starts of official names that have no place in the model

        Raises CheckpointError where a shape differs, or where tensors are left that nothing took.
        """
        left = [n for n in self.tensors if n not in self._taken and not n.startswith(ignored)]
        if left:
            raise CheckpointError(
                f"{self.name} holds {len(left)} tensors that {type(model).__name__} has no place for, the first: "
                f"{', '.join(sorted(left)[:3])}"
            )
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise CheckpointError(f"{self.name} does not fit {type(model).__name__}: {error}") from error
        return model
