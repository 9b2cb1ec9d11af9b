"""The data sets that properties are learned from: what they hold, in which units, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

from common.app.errors import ConfigError
from common.app.registry import Registry, did_you_mean
from materials.data import matbench_compositions, matbench_crystals, moleculenet

Outcome = Literal["regression", "classification"]


class Property(NamedTuple):
    """What a number of a data set is."""

    unit: str
    """Empty for classes and pure numbers."""
    outcome: Outcome = "regression"


@dataclass(frozen=True)
class LearningSet:
    """One data set as `data=<name>` uses it."""

    substance: Literal["crystal", "molecule", "composition"]
    load: Callable[..., Any]
    """(split, offline=...) -> Crystals, Molecules or Compositions."""
    properties: Mapping[str, Property]

    def property(self, name: str, target: str) -> Property:
        """Raises ConfigError for a target the set does not have."""
        if target not in self.properties:
            raise ConfigError(f"data set '{name}' has no target '{target}'. {did_you_mean(target, [*self.properties])}")
        return self.properties[target]


_LOADERS = Registry(
    "data set",
    {
        "mp2018": "materials.data.mp2018:load",
        "mp2018-elastic": "materials.elastic_set:load",
        "ionic-lattice": "materials.data.ionic_lattice:load",
        "qm7": "materials.data.qm7:load",
    },
)

MP2018_PROPERTIES = {
    "e_form": Property("eV/atom"),
    "band_gap": Property("eV"),
    "e_above_hull": Property("eV/atom"),
    "total_magnetization": Property("mu_B/cell"),
    "k_vrh": Property("GPa"),
    "g_vrh": Property("GPa"),
    "log10_k_vrh": Property("log10(GPa)"),
    "log10_g_vrh": Property("log10(GPa)"),
}

SIMULATED_MODULI = tuple(
    f"simulated_log10_{name}" for name in ("k_vrh", "g_vrh", "g_reuss", "k_vrh_clamped", "g_vrh_clamped")
)


def _own_module(
    substance: Literal["crystal", "molecule"], name: str, properties: Mapping[str, Property]
) -> LearningSet:
    return LearningSet(substance, lambda split, offline=False: _LOADERS[name](split, offline=offline), properties)


def _molecules(name: str) -> LearningSet:
    known = moleculenet.SETS[name]
    properties = {target: Property(known.unit(target), known.kind) for target in known.targets}
    return LearningSet("molecule", partial(moleculenet.load, name), properties)


def _matbench_crystals(name: str, properties: Mapping[str, Property]) -> LearningSet:
    return LearningSet("crystal", partial(matbench_crystals.load, name), properties)


def _compositions(task: str) -> LearningSet:
    known, name = matbench_compositions.TASKS[task], matbench_compositions.dataset_name(task)
    properties = {known.target: Property(known.unit, known.kind)}
    return LearningSet("composition", partial(matbench_compositions.load, name), properties)


CATALOGUE: dict[str, LearningSet] = {
    "mp2018": _own_module("crystal", "mp2018", MP2018_PROPERTIES),
    "mp2018-elastic": _own_module(
        "crystal", "mp2018-elastic", MP2018_PROPERTIES | dict.fromkeys(SIMULATED_MODULI, Property("log10(GPa)"))
    ),
    "ionic-lattice": _own_module("crystal", "ionic-lattice", {"lattice_energy": Property("eV/atom")}),
    "matbench-perovskites": _matbench_crystals("matbench-perovskites", {"e_form": Property("eV/cell")}),
    "matbench-phonons": _matbench_crystals("matbench-phonons", {"last_phdos_peak": Property("1/cm")}),
    "nomad2018": _matbench_crystals(
        "nomad2018",
        {"formation_energy_ev_natom": Property("eV/cation"), "bandgap_energy_ev": Property("eV")},
    ),
    **{matbench_compositions.dataset_name(task): _compositions(task) for task in matbench_compositions.TASKS},
    **{name: _molecules(name) for name in moleculenet.SETS},
    "qm7": _own_module("molecule", "qm7", {"u0_atom": Property("kcal/mol")}),
}
