"""Our rows of the table `mlip`: shipped potentials on their validation frames."""

from __future__ import annotations

import numpy as np

from common.results.environment import describe_environment
from common.results.tables import Row
from materials.data.mlip import load
from materials.potential import Potential
from materials.potential_study import errors

MLEARN = ("ni", "cu", "li", "mo", "si", "ge")


def our_rows(device: str = "auto", offline: bool = False) -> list[Row]:
    """One row of what is shipped; columns of sets without a shipped potential stay empty, and none gives no row."""
    scores = {}
    for name in (*(f"mlearn-{element}" for element in MLEARN), "acac-300k"):
        if f"mlip-{name}" in Potential.shipped():
            potential = Potential.from_pretrained(f"mlip-{name}", device)
            scores[name], _ = errors(potential, load(name, "val", offline))
    values = {f"forces_{name[7:]}": one["force_mae"] for name, one in scores.items() if name.startswith("mlearn")}
    if len(values) == len(MLEARN):
        elements = [scores[f"mlearn-{element}"] for element in MLEARN]
        values["mlearn_force_rmse"] = float(np.mean([one["force_rmse"] for one in elements]))
        values["mlearn_energy_rmse"] = float(np.mean([one["energy_rmse"] for one in elements]))
    if molecule := scores.get("acac-300k"):
        values |= {"acac_force_rmse": molecule["force_rmse"], "acac_energy_rmse": molecule["frame_energy_rmse"]}
    if not values:
        return []
    return [
        Row(
            system="Trifold ACE",
            values=values,
            source="trifold materials benchmark table=mlip",
            protocol="validation",
            ours=True,
            details={"evaluation": str(describe_environment()["cpu"])},
        )
    ]
