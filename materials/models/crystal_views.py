"""The same crystals as two kinds of networks see them: as graphs of nearest neighbours, and as all pairs of atoms.

Shapes as in `crystal_graph.py` and `atomic_graph.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from materials.models.atomic_graph import AtomicGraph
from materials.models.crystal_graph import CrystalGraphBatch


@dataclass(frozen=True)
class CrystalViews:
    """A batch of B crystals."""

    graph: CrystalGraphBatch
    atoms: AtomicGraph
