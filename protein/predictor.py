"""What a research script imports: sequences in, structures out.

predictor = StructurePredictor.from_pretrained("fold-small")
structure = predictor.predict("MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG")
structure.to_pdb("ubiquitin.pdb")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, overload

import torch
from torch import nn

from common.app.errors import ConfigError, DataFormatError
from common.predictor import Predictor
from common.training.precision import autocast
from protein.batching import BATCH_PAIRS, Batch, Size, batches, free_memory_gb
from protein.data.alignment import Alignment, read_alignment
from protein.data.sequence import clean_sequence
from protein.model_inputs import Query, language_width, one_at_a_time, run, size_of, takes_alignments
from protein.models import MODELS
from protein.models.esm2 import ESM2
from protein.models.memory_plan import TrunkShape
from protein.models.triangle_multiplication import use_kernels
from protein.prediction import Prediction
from protein.read_out import predictions_of

CYCLES = 4
"""Of models whose card does not say: AlphaFold 2 and ESMFold recycle three times."""

LONGEST = 4096
"""Residues that are accepted, where a card does not say; memory ends it sooner on most machines."""

MSA = str | Path | Alignment | None


class StructurePredictor(Predictor):
    """Predicts structures of single chains, whichever model it holds."""

    domain = "protein"
    architectures = MODELS

    def __init__(self, model: nn.Module, card: Mapping[str, Any], device: str = "auto", dtype: str = "float32") -> None:
        super().__init__(model, card, device, dtype)
        self.cycles = int(self.card.get("cycles") or getattr(self.model.config, "cycles", CYCLES))
        self.longest = int(self.card.get("longest", LONGEST))
        self.fits = bool(self.card.get("fit", False))
        """Whether predictions are fitted to the predicted distances, unless the caller says otherwise."""
        self.relaxes = bool(self.card.get("relax", False))
        """Whether predictions are relaxed, unless the caller says otherwise."""

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str = "auto", dtype: str = "float32", offline: bool = False
    ) -> Self:
        """Load a shipped model, a folder of `save_pretrained`, or published weights.

        Published weights load by name (`trifold data list`) or from their official files: a folder of Hugging Face, a
        .pt of fair-esm or OpenFold, an .npz of AlphaFold 2. `offline`: never fetch them.
        Raises ConfigError for an unknown name, CheckpointError for what holds no structure predictor.
        """
        from protein.weights.published import load_published

        published = None if str(name) in cls.shipped() else load_published(name, offline)
        return super().from_pretrained(name, device, dtype) if published is None else cls(*published, device, dtype)

    @classmethod
    def known_names(cls) -> list[str]:
        from protein.weights.published import PUBLISHED

        return [*super().known_names(), *(name for name, one in PUBLISHED.items() if one.architecture != "esm2")]

    @property
    def takes_alignments(self) -> bool:
        """Whether the model reads alignments; without one it is given the sequence alone."""
        return takes_alignments(self.model)

    @overload
    def predict(
        self, sequences: str, msa: MSA = None, *, cycles: int | None = None, memory_gb: float | None = None,
        distogram: bool = False, fit: bool | None = None, relax: bool | None = None,
    ) -> Prediction: ...  # fmt: skip

    @overload
    def predict(
        self, sequences: Sequence[str], msa: Sequence[MSA] | None = None, *, cycles: int | None = None,
        memory_gb: float | None = None, distogram: bool = False, fit: bool | None = None, relax: bool | None = None,
    ) -> list[Prediction]: ...  # fmt: skip

    def predict(
        self,
        sequences: str | Sequence[str],
        msa: MSA | Sequence[MSA] = None,
        *,
        cycles: int | None = None,
        memory_gb: float | None = None,
        distogram: bool = False,
        fit: bool | None = None,
        relax: bool | None = None,
    ) -> Prediction | list[Prediction]:
        """The structure of a sequence; of a list the structures, in its order.

        sequences  one-letter codes; which are accepted, and read as what: `protein.data.sequence`
        msa        path of an A3M or Stockholm file, or an alignment, whose first sequence is this one; of a list one
                   for each, or None
        cycles     of the network; None: as the model was trained
        memory_gb  limit of the activations; None: what is free. It decides how many chains are predicted together
                   and how many rows of their pairs at a time, and nothing else
        distogram  also keep the probabilities of distances
        fit        move C-alpha atoms to where the most distances are kept that the distogram expects; pLDDT is then
                   what it expects of them. None: as the model's card says
        relax      move atoms a little, until bonds between residues have their lengths and nothing clashes; None: as
                   the model's card says

        Raises DataFormatError for a sequence that is empty, too long or holds other letters, and for an alignment of
        another sequence; ConfigError for an alignment where the model takes none, and where memory does not suffice.
        """
        single = isinstance(sequences, str)
        texts = [sequences] if single else list(sequences)
        given = [msa] if single else list(msa) if isinstance(msa, Sequence) and not isinstance(msa, str) else None
        if given is None and msa is not None:
            raise ConfigError("msa of several sequences: expected a list, one alignment or None for each of them")
        if given is not None and len(given) != len(texts):
            raise ConfigError(f"{len(texts)} sequences with {len(given)} alignments; expected one or None for each")
        queries: list[Query] = []
        for number, (text, one) in enumerate(zip(texts, given or [None] * len(texts), strict=True), 1):
            try:
                queries.append(self.query(text, f"sequence_{number}", one))  # type: ignore[arg-type]
            except DataFormatError as error:
                raise error if single else DataFormatError(f"sequence {number} of {len(texts)}: {error}") from error
        found = dict(self.predict_stream(queries, cycles, memory_gb, distogram, fit, relax))
        return found[0] if single else [found[number] for number in range(len(queries))]

    def use_triton(self) -> None:
        """Multiply triangles by Triton kernels from now on, which move less through the memory of a GPU.

        Raises ConfigError where there is no GPU or no triton, and where no layer of the model suits the kernels.
        """
        if self.device.type != "cuda":
            raise ConfigError(
                f"triton kernels run on a GPU; {self.card['name']} is on {self.device.type}: leave them out"
            )
        if find_spec("triton") is None:
            raise ConfigError("triton kernels need the package triton, which is not installed: `pip install triton`")
        if not use_kernels(self.model):
            raise ConfigError(
                f"{self.card['name']} multiplies no triangles of widths that are powers of two from 16 on, which the "
                "triton kernels take: leave them out"
            )

    def query(self, sequence: str, name: str, msa: MSA = None) -> Query:
        """A sequence checked and in the letters that models know; raises DataFormatError and ConfigError."""
        letters, changes = clean_sequence(sequence, self.longest)
        if msa is None:
            return Query(name, letters, changes=changes)
        self.require_alignments()
        alignment = msa if isinstance(msa, Alignment) else read_alignment(msa)
        alignment.require_query(letters)
        return Query(name, letters, alignment, changes=changes)

    def require_alignments(self) -> None:
        """Raise ConfigError where the model takes no alignment."""
        if not self.takes_alignments:
            raise ConfigError(
                f"{self.card['name']} predicts from one sequence and would not read the alignment; leave it out, or "
                "choose a model that takes alignments, as AlphaFold 2"
            )

    def predict_stream(
        self, queries: Sequence[Query], cycles: int | None = None, memory_gb: float | None = None,
        distogram: bool = False, fit: bool | None = None, relax: bool | None = None,
    ) -> Iterator[tuple[int, Prediction]]:  # fmt: skip
        """(number of the query, prediction) as they are finished, short chains first; arguments as of `predict`."""
        planned, refused = self.plan([self.size(query) for query in queries], memory_gb)
        for batch in refused:
            raise ConfigError(f"{queries[batch.members[0]].id}: {refusal(batch)}")
        for batch in planned:
            members = [queries[number] for number in batch.members]
            found = self.predict_batch(members, batch.plan.chunk, cycles, distogram, fit, relax)
            yield from zip(batch.members, found, strict=True)

    def size(self, query: Query) -> Size:
        """What the memory of a prediction depends on."""
        return size_of(self.model, query)

    def plan(self, sizes: Sequence[Size], memory_gb: float | None = None) -> tuple[list[Batch], list[Batch]]:
        """Batches that fit into memory, and chains that do not even alone."""
        shape, limit_gb = TrunkShape.of(self.model.config), memory_gb or free_memory_gb(self.device)  # pyright: ignore
        several = 0 if one_at_a_time(self.model) else BATCH_PAIRS[self.device.type]
        return batches(shape, sizes, limit_gb, several)

    @torch.no_grad()
    def predict_batch(
        self, queries: Sequence[Query], chunk: int | None = None, cycles: int | None = None, distogram: bool = False,
        fit: bool | None = None, relax: bool | None = None,
    ) -> list[Prediction]:  # fmt: skip
        """Predict queries together, `chunk` rows of pairs at a time, see `plan`.

        Raises NumericalError where coordinates are not finite.
        """
        with autocast(self.device, self.precision):
            output = run(self.model, queries, cycles or self.cycles, chunk, self._language)
            fit, relax = self.fits if fit is None else fit, self.relaxes if relax is None else relax
            return predictions_of(output, queries, distogram, fit, relax)

    @cached_property
    def _language(self) -> ESM2 | None:
        """The language model whose states the model was trained on, where it was on any."""
        if not language_width(self.model):
            return None
        from protein.weights.published import load_language

        return load_language(self.card["language_model"]).to(self.device, self.dtype).eval().requires_grad_(False)


def refusal(batch: Batch) -> str:
    """Why a chain that does not fit into memory is not predicted."""
    return (
        f"takes {batch.plan.peak_gb:.2f} GB even with one row of pairs at a time; {batch.plan.limit_gb:.2f} GB may be "
        "used. Set memory_gb to more, or cut the sequence"
    )
