"""Scores as tables: for a report, and as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import pandas as pd

from common.results.report import Section
from weather.scoring import Scored

TITLES = {
    "rmse": "RMSE", "mae": "MAE", "bias": "Bias", "acc": "Anomaly correlation", "crps": "Fair CRPS",
    "spread": "Spread", "spread_skill_ratio": "Spread over error",
}  # fmt: skip

OPEN = 1
"""Channels whose table is open from the start."""


def score_section(scored: Scored, system: str, compared: pd.DataFrame) -> Section:
    """All scores by channel, and how sure the difference to the best baseline is.

    compared  as `weather.scoring.differences` gives it
    """
    tables = "".join(
        f"<details{' open' if number < OPEN else ''}><summary>{escape(label)}</summary>"
        f"{_channel_table(scored.frame.query('channel == @label'), system)}</details>"
        for number, label in enumerate(scored.channels)
    )
    return Section("Scores", _difference_table(compared) + tables)


def summary(scored: Scored) -> str:
    """The errors, one line a channel and system."""
    frame = scored.frame[scored.frame["metric"].isin(["rmse", "crps", "spread_skill_ratio"])]
    wide = frame.pivot_table(index=["channel", "metric", "system"], columns="lead_h", values="value", sort=False)
    wide = wide[_some(wide.columns.tolist())]
    wide.columns = [f"{lead:g} h" for lead in wide.columns]
    return wide.map(lambda value: f"{value:.4g}").to_string()


def _channel_table(part: pd.DataFrame, system: str) -> str:
    """Metrics and systems down, lead times across."""
    leads = _some(sorted(part["lead_h"].unique()))
    lines = []
    for metric, rows in part.groupby("metric", sort=False):
        lines.append(f'<tr><th scope="rowgroup" colspan="{1 + len(leads)}">{TITLES[str(metric)]}</th></tr>')
        for name, values in rows.groupby("system", sort=False):
            cells = [_figure(value) for value in values.set_index("lead_h")["value"].reindex(leads)]
            lines.append(_row(str(name), cells, ours=name == system))
    return _table("", leads, lines)


def _difference_table(compared: pd.DataFrame) -> str:
    """Channels down, lead times across; in each cell the change of the squared error, the rival and the p-value."""
    if compared.empty:
        return ""
    leads = _some(sorted(compared["lead_h"].unique()))
    lines = []
    for channel, part in compared.groupby("channel", sort=False):
        cells = []
        for row in part.set_index("lead_h").reindex(leads).itertuples():
            reach = 50 * (row.upper - row.lower)  # pyright: ignore
            sure = "p < 0.001" if row.p_value < 0.001 else f"p = {row.p_value:.2g}"  # pyright: ignore
            change = f"{100 * row.change:+.0f} ± {reach:.0f} %".replace("-", "−")  # pyright: ignore
            rival = str(row.rival)  # pyright: ignore
            cells.append(change + "".join(f'<span class="muted">{escape(note)}</span>' for note in (rival, sure)))
        lines.append(_row(str(channel), cells))
    caption = (
        "Mean squared error against the best baseline's, with its 95 % interval, and the p-value of no difference: "
        "t-test over starts, standard error inflated for autocorrelation (Geer 2016, doi:10.3402/tellusa.v68.30229)"
    )
    return _table(caption, leads, lines)


def _table(caption: str, leads: Sequence[float], lines: Iterable[str]) -> str:
    head = "".join(f'<th class="number">{lead:g} h</th>' for lead in leads)
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _row(name: str, cells: Iterable[str], ours: bool = False) -> str:
    """`cells` are HTML."""
    figures = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    kind = ' class="ours"' if ours else ""
    return f"<tr{kind}><td>{escape(name)}</td>{figures}</tr>"


def _figure(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.4g}".replace("-", "−")


def _some(leads: list[float]) -> list[float]:
    """Of many lead times about eight, evenly, and the last."""
    return list(dict.fromkeys([*leads[:: max(1, len(leads) // 7)], leads[-1]]))
