"""Forecasts from a trained model: initial states in, physical fields out.

    forecaster = Forecaster.from_pretrained("ncep-namerica-t995")
    forecast = forecaster.forecast(xarray.open_dataset("now.nc"), lead_hours=72)

S start times, K states of history, M members, C channels, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from common.app.errors import CheckpointError, ConfigError, DataFormatError, NumericalError
from common.data.artifact import read_tensors
from common.predictor import Predictor
from common.training.precision import autocast
from weather.data.canonical import canonical, grid_of
from weather.data.climate import Climate
from weather.data.fields import Channel, Fields, unstack
from weather.data.forcings import CONSTANTS, Forcings
from weather.data.grid import Grid
from weather.data.open import open_fields
from weather.data.quantities import quantity_of
from weather.data.windows import window_index
from weather.models import MODELS
from weather.recent_errors import recently_missed
from weather.start import Start
from weather.stepper import PAST, Stepper

BATCH_POINTS = 2**18
"""Points of a grid stepped at once, unless the caller says how many states."""

BEYOND = 3.0
"""Ranges beyond the least and greatest value seen in training at which an unknown quantity has left its bounds."""

LATEST = "last"


class Forecaster(Predictor):
    """A trained network with the grid, channels, scales and forcings it needs."""

    domain = "weather"
    architectures = MODELS

    def __init__(self, model: nn.Module, card: Mapping[str, Any], device: str = "auto", dtype: str = "float32") -> None:
        super().__init__(model, card, device, dtype)
        card = self.card
        if card["history"] > 1 and card.get("past") != PAST:
            raise CheckpointError(
                f"{card['name']}: its card says past={card.get('past')!r}; expected {PAST!r}. Networks that learned to "
                "see earlier states in another way would be wrong without notice; train it again with this version"
            )
        at_once = card.get("at_once", False)
        stepper = Stepper(self.model, card["scales"], card["steps"], card["noise"], at_once)
        self.stepper = stepper.to(self.device).eval()
        self.constants: dict[str, Tensor] = {}
        self.climate: Climate | None = None

    @cached_property
    def grid(self) -> Grid:
        return Grid.of(np.array(self.card["grid"]["latitudes"]), np.array(self.card["grid"]["longitudes"]), "model")

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(Channel(variable, level) for variable, level in self.card["channels"])

    @property
    def history(self) -> int:
        """States, `step_h` apart, that a forecast starts from."""
        return self.card["history"]

    @property
    def step_h(self) -> float:
        """Hours between states of the history."""
        return self.card["step_h"]

    @property
    def lead_step_h(self) -> float:
        """Hours between the times that a forecast gives."""
        return self.step_h * self.stepper.steps[0]

    @cached_property
    def forcings(self) -> Forcings:
        fields = {name: (("latitude", "longitude"), value.numpy()) for name, value in self.constants.items()}
        places = {"latitude": self.grid.latitudes, "longitude": self.grid.longitudes}
        constants = xr.Dataset(fields, places) if fields else None
        offsets = self.card.get("forcing_offsets", (0,))
        return Forcings(self.card["forcings"], self.grid, self.lead_step_h, constants, self.device, offsets)

    def keep_constants(self, constants: xr.Dataset | None) -> None:
        """Keep the fields that the forcings need, so that a forecast needs no file of them."""
        for name in set(self.card["forcings"]) & set(CONSTANTS):
            field = constants[CONSTANTS[name]] if constants is not None else None
            if field is None:
                raise ConfigError(f"forcing '{name}' needs the field {CONSTANTS[name]}; give data.constants")
            first = field.isel({dim: 0 for dim in field.dims if dim not in ("latitude", "longitude")})
            self.constants[CONSTANTS[name]] = torch.from_numpy(first.values.astype(np.float32))

    def keep_shrinkage(self, climate: Climate, kept: np.ndarray) -> None:
        """Give forecasts whose deviations from the climate are multiplied with `kept` [L, C], by lead time from the
        first on; beyond the last with the last. Steps go on from what was forecast before.
        """
        self.climate, self.card["kept"] = climate.to(self.device), kept.round(4).tolist()

    def more_files(self) -> dict[str, Any]:
        files = {"constants.safetensors": self.constants} if self.constants else {}
        if self.climate is not None:
            files["climate.safetensors"] = {"coefficients": self.climate.coefficients}
        return files

    def read_more(self, folder: Path) -> None:
        if (folder / "constants.safetensors").exists():
            self.constants = read_tensors(folder, "constants.safetensors")
        if (folder / "climate.safetensors").exists():
            found = read_tensors(folder, "climate.safetensors")
            self.climate = Climate(found["coefficients"]).to(self.device)

    def forecast(
        self,
        initial: xr.Dataset | str | Path,
        lead_hours: float,
        members: int = 1,
        starts: str | Sequence[str] = LATEST,
        seed: int = 0,
        batch_size: int | None = None,
    ) -> xr.Dataset:
        """Forecasts up to `lead_hours` ahead, held in memory; `trifold weather predict` writes any length to disk.

        initial  fields of the model's variables, or the file that holds them: the start's `history` times are used, and
                 where the card tells of `recent_errors` earlier ones as well, as far as they are there
        members  of the ensemble; a model without noise takes 1
        starts   "last" (the last time of `initial`), "all" that have their history, or times

        Returns fields over (time, prediction_timedelta[, number][, level], latitude, longitude), canonical units.
        Raises DataFormatError for fields that are missing, on another grid or not finite, ConfigError for a start that
        is not there, NumericalError when values leave what is physically possible.
        """
        leads = self.leads(lead_hours)
        start = self.start(self.fields(initial), starts, leads)
        found = [values.cpu().numpy() for _, values in self.roll_out(start, leads, members, seed, batch_size)]
        return self.dataset(np.stack(found, axis=1), start.times, leads, members)

    def leads(self, lead_hours: float) -> np.ndarray:
        """The lead times up to `lead_hours`, in steps of `step_h` [L]. Raises ConfigError unless it is one of them."""
        count = lead_hours / self.lead_step_h
        if round(count) < 1 or abs(count - round(count)) > 1e-6:
            raise ConfigError(
                f"lead_hours={lead_hours:g}: expected a multiple of {self.lead_step_h:g}, the step of "
                f"{self.card['name']}"
            )
        return self.stepper.steps[0] * np.arange(1, round(count) + 1)

    def fields(
        self, source: xr.Dataset | str | Path, units: Mapping[str, str] | None = None, offline: bool = False
    ) -> Fields:
        """The model's channels of a dataset or file, checked against its grid; read when they are used."""
        variables = list(dict.fromkeys(channel.variable for channel in self.channels))
        if isinstance(source, xr.Dataset):
            where = "the initial dataset"
            dataset = canonical(source, where, variables, units)
        else:
            where = str(source)
            dataset = open_fields(source, variables, units, offline)
        self.grid.require(grid_of(dataset, where), where)
        held = Fields.of(dataset, where).channels
        for channel in self.channels:
            if channel not in held and (channel.level is not None or len(dataset[channel.variable].dims) > 3):
                levels = ", ".join(
                    f"{other.level:g}" for other in held if other.variable == channel.variable and other.level
                )
                raise DataFormatError(
                    f"{where}: {channel.variable} has no level {channel.level} hPa, which {self.card['name']} needs; "
                    f"it has {levels or 'no levels'}"
                )
        return Fields(dataset, self.channels, where)

    def start(
        self, fields: Fields, starts: str | Sequence[str] = LATEST, leads: Sequence[int] | np.ndarray = ()
    ) -> Start:
        """The initial states of the times asked for; see `start_at`."""
        return self.start_at(fields, self.start_index(fields, starts), leads)

    def start_at(self, fields: Fields, index: np.ndarray, leads: Sequence[int] | np.ndarray = ()) -> Start:
        """The states at positions [S, K] in time; where the card says that forecasts are corrected, also what has
        recently been missed at these lead times, in steps of `step_h`.
        """
        values = torch.from_numpy(fields.read(index.reshape(-1))).unflatten(0, index.shape)
        start = Start(fields.times[index[:, -1]], values.to(self.device))
        settings = self.card.get("recent_errors")
        if settings is None or not len(leads):
            return start
        wanted = [int(lead) for lead in leads]
        return start._replace(missed=recently_missed(self, fields, start.times, wanted, **settings))

    def start_index(self, fields: Fields, starts: str | Sequence[str]) -> np.ndarray:
        """Positions in time of the history of each start, [S, K]."""
        index = window_index(fields.times, self.history, self.step_h)
        need = f"{self.history} times {self.step_h:g} h apart, the last of them the start"
        if not len(index):
            raise DataFormatError(f"{fields.where} holds {len(fields)} times; {self.card['name']} needs {need}")
        if starts == "all":
            return index
        if starts == LATEST:
            wanted = fields.times[-1:]
        else:
            wanted = np.array([starts] if isinstance(starts, str) else list(starts), "datetime64[ns]")
        known = {time: row for row, time in enumerate(fields.times[index[:, -1]])}
        if missing := [time for time in wanted if time not in known]:
            raise ConfigError(
                f"{fields.where}: no forecast can start at {missing[0].astype('datetime64[m]')}; needed are {need}. "
                f"Starts are possible from {min(known).astype('datetime64[m]')} to {max(known).astype('datetime64[m]')}"
            )
        return index[[known[time] for time in wanted]]

    @torch.no_grad()
    def roll_out(
        self,
        start: Start,
        leads: np.ndarray,
        members: int = 1,
        seed: int = 0,
        batch_size: int | None = None,
        known: Mapping[int, Tensor] | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """Each lead time with its states [S, M, C, H, W], one after another: memory does not grow with lead time.

        leads  in steps of `step_h`, given in ascending order; others are computed only where these need them
        known  states [S, M, C, H, W] by lead time, from which an interrupted roll-out goes on; where forecasts are
               shrunk or corrected it has to step from the start again, and gives what is not known
        """
        if members > 1 and not self.stepper.noise:
            raise ConfigError(f"{self.card['name']} is deterministic: members={members}, expected 1")
        history, wanted = start.states.shape[1], {int(lead) for lead in leads}
        recent = {k + 1 - history: start.states[:, [k]].expand(-1, members, -1, -1, -1) for k in range(history)}
        done, changed = max(known or (0,)), "kept" in self.card or bool(start.missed)
        recent |= {} if changed else known or {}
        looks: dict[int, dict[int, Tensor]] = {}
        for lead in self._on_the_way(wanted, history):
            if lead <= done and not changed:
                continue
            size = self.last_size(lead)
            before = lead - self.stepper.steps[size]
            if before not in looks or not self.stepper.at_once:
                past = torch.stack([recent[before - k] for k in range(history - 1, -1, -1)], dim=2)
                one = None if self.stepper.at_once else size
                looks[before] = self._look(past, start.times, before, one, seed, batch_size)
            recent[lead] = looks[before][lead]
            self._check(recent[lead], start.times, lead)
            furthest = max(self.stepper.steps)
            recent = {n: state for n, state in recent.items() if n > lead - furthest - history + 1}
            looks = {n: states for n, states in looks.items() if n > lead - furthest}
            if lead > done and lead in wanted:
                yield lead, self._changed(recent[lead], start, lead) if changed else recent[lead]

    def _on_the_way(self, wanted: set[int], history: int) -> list[int]:
        """Those lead times and all whose states they are forecast from, ascending."""
        needed, asked = set(), list(wanted)
        while asked:
            lead = asked.pop()
            if lead > 0 and lead not in needed:
                needed.add(lead)
                before = lead - self.stepper.steps[self.last_size(lead)]
                asked += [before - k for k in range(history)]
        return sorted(needed)

    def _changed(self, states: Tensor, start: Start, lead: int) -> Tensor:
        """[S, M, C, H, W], see `weather.shrinkage` and `weather.recent_errors`."""
        if "kept" in self.card:
            assert self.climate is not None
            row = min(lead // self.stepper.steps[0], len(self.card["kept"])) - 1
            kept = torch.tensor(self.card["kept"][row], device=self.device)[:, None, None]
            usual = self.climate.at(self._later(start.times, [lead]))
            states = usual + kept * (states - usual)
        if start.missed:
            states = states + start.missed[lead]
        return torch.where(self.stepper.nonnegative[:, None, None], states.clamp(min=0), states)

    def last_size(self, lead: int) -> int:
        """Which size the last step to a lead time has, when large steps come first: errors of few steps add up."""
        for size in reversed(range(len(self.stepper.steps))):
            lead %= self.stepper.steps[size]
            if not lead:
                return size
        raise ValueError(f"lead time {lead} is not a multiple of {self.stepper.steps[0]}")

    def _look(
        self, past: Tensor, times: np.ndarray, before: int, size: int | None, seed: int, batch_size: int | None
    ) -> dict[int, Tensor]:
        """States [S, M, C, H, W] by lead time from those up to `before` [S, M, K, C, H, W], in pieces: one step of the
        given size, or (None) of all sizes at once."""
        starts, members = past.shape[:2]
        strides = self.stepper.steps if size is None else [self.stepper.steps[size]]
        leads = [before + stride for stride in strides]
        forced = leads[0]
        forcings = self.forcings.at(self._later(times, [forced])[:, 0]).repeat_interleave(members, 0)[:, None]
        climate = None
        if self.climate is not None and self.card.get("deviations"):
            told = [*range(before - past.shape[2] + 1, before + 1), *leads]
            climate = self.climate.at(self._later(times, told)).repeat_interleave(members, 0)
        noise = self._noise(times, members, forced, seed)
        member = torch.arange(members, device=self.device).repeat(starts) if noise is not None else None
        height, width = self.grid.shape
        piece = batch_size or max(1, BATCH_POINTS // (height * width))
        found = []
        flat = past.flatten(0, 1)
        for first in range(0, len(flat), piece):
            part = slice(first, first + piece)
            with autocast(self.device, self.precision):
                drawn, usual, turn = (None if x is None else x[part] for x in (noise, climate, member))
                found.append(self.stepper(flat[part], forcings[part], drawn, size, usual, turn))
        states = torch.cat(found).unflatten(0, (starts, members))
        return {lead: states[:, :, number] for number, lead in enumerate(leads)}

    def _later(self, times: np.ndarray, steps: Sequence[int]) -> np.ndarray:
        """The times so many steps of `step_h` after each, [S] -> [S, n]."""
        return times[:, None] + (np.array(steps) * round(self.step_h * 3600)).astype("timedelta64[s]")

    def _noise(self, times: np.ndarray, members: int, lead: int, seed: int) -> Tensor | None:
        """[S M, 1, D], a function of seed, start, member and lead time alone: of no batch, of no interruption."""
        if not self.stepper.noise:
            return None
        drawn = [
            np.random.default_rng([seed, int(time.astype("datetime64[s]").astype(np.int64)) % 2**63, member, lead])
            .standard_normal(self.stepper.noise, np.float32)
            for time in times
            for member in range(members)
        ]  # fmt: skip
        return torch.from_numpy(np.stack(drawn))[:, None].to(self.device)

    def _check(self, states: Tensor, times: np.ndarray, lead: int) -> None:
        """Raise NumericalError when a value is not finite or leaves what is possible."""
        low, high = self._bounds
        least, greatest = states.amin((-2, -1)), states.amax((-2, -1))
        inside = (least >= low) & (greatest <= high)  # false for NaN as well
        if bool(inside.all()):
            return
        s, m, c = (~inside).nonzero()[0].tolist()
        raise NumericalError(
            f"the forecast from {times[s].astype('datetime64[m]')}, member {m}, left physical bounds after "
            f"{lead * self.step_h:g} h: {self.channels[c].label} runs from {float(least[s, m, c]):g} to "
            f"{float(greatest[s, m, c]):g}, possible are {float(low[c]):g} to {float(high[c]):g}. What was forecast "
            "before is kept; check the initial state's units, or use a shorter lead time"
        )

    @cached_property
    def _bounds(self) -> tuple[Tensor, Tensor]:
        """[C] each: of the quantity; where it has none, generously what training saw."""
        bounds = []
        for channel, (least, greatest) in zip(self.channels, self.card["scales"]["bounds"], strict=True):
            quantity, margin = quantity_of(channel.variable), BEYOND * (greatest - least)
            low, high = quantity.possible if quantity else (-np.inf, np.inf)
            bounds.append((max(low, least - margin), min(high, greatest + margin)))
        low, high = torch.tensor(bounds, dtype=torch.float32, device=self.device).T
        return low, high

    def dataset(self, values: np.ndarray, times: np.ndarray, leads: np.ndarray, members: int) -> xr.Dataset:
        """Forecasts [S, L, M, C, H, W] in WeatherBench 2 layout."""
        front = {"time": times, "prediction_timedelta": self.lead_times(leads)}
        if members == 1:
            values = values[:, :, 0]
        else:
            front["number"] = np.arange(members)
        return unstack(values, self.channels, self.grid, front).assign_attrs(self.attributes)

    def lead_times(self, leads: np.ndarray) -> np.ndarray:
        return (np.asarray(leads) * round(self.step_h * 3600)).astype("timedelta64[s]").astype("timedelta64[ns]")

    @property
    def attributes(self) -> dict[str, str]:
        """Of a forecast's dataset."""
        simulated = (
            {"note": "learned from SIMULATED data, not from observations"} if self.card["data"].get("simulated") else {}
        )
        return {"model": self.card["name"], "source": "Trifold", **simulated}
