"""A growing table: wherever it is stopped, the finished table is the one that was never stopped."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from common.app.errors import ConfigError
from materials.screening_table import GrowingTable, merge_shards, read_state, shard_path, write_rejected

FRAMES = [
    pd.DataFrame({"id": [f'{n}, "a"', f"{n}\rb"], "e": [n / 3, None], "unit": "eV", "error": ["", "why,\r\nso"]})
    for n in range(6)
]
SETTINGS = {"model": "m", "input": "i"}


def write(path: Path, frames: list[pd.DataFrame], settings: dict[str, str] | None = None) -> bytes:
    table = GrowingTable(path, settings or SETTINGS)
    for frame in frames[table.state.chunks :]:
        table.append(frame)
    table.finish()
    table.close()
    return path.read_bytes()


@pytest.mark.parametrize("stop", range(len(FRAMES) + 1))
@pytest.mark.parametrize("committed", [True, False])
def test_a_table_stopped_anywhere_ends_the_same(tmp_path: Path, stop: int, committed: bool) -> None:
    whole = write(tmp_path / "whole.csv", FRAMES)
    table = GrowingTable(tmp_path / "a.csv", SETTINGS)
    for frame in FRAMES[:stop]:
        table.append(frame)
    if committed:
        table._commit()
    table._stream.write(b"half a ro")  # of the next frame
    table._stream.flush()
    table._lock.release()  # as the end of a process does
    assert not (tmp_path / "a.csv").exists()
    assert write(tmp_path / "a.csv", FRAMES) == whole


def test_a_table_stopped_between_its_last_steps_is_finished_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    whole = write(path, FRAMES)
    assert write(path, FRAMES) == whole and read_state(path).done  # pyright: ignore[reportOptionalMemberAccess]
    path.rename(tmp_path / "a.csv.partial")
    assert write(path, FRAMES) == whole
    rejected = pd.read_csv(write_rejected(path))
    assert list(rejected.columns) == ["input", "reason"] and list(rejected["input"]) == [f"{n} b" for n in range(6)]


def test_damage_makes_the_table_begin_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    whole = write(tmp_path / "whole.csv", FRAMES)
    for harm in (lambda: (tmp_path / "a.csv.partial").write_text("i"), lambda: (tmp_path / "a.csv.partial").unlink(),
                 lambda: (tmp_path / "a.csv.state").write_text('{"chunks": 2')):  # fmt: skip
        table = GrowingTable(path, SETTINGS)
        table.append(FRAMES[0])
        table.close()
        harm()
        assert write(path, FRAMES) == whole
        table.remove_state()


def test_rows_of_another_run_and_of_a_running_one_are_left_alone(tmp_path: Path) -> None:
    table = GrowingTable(tmp_path / "a.csv", SETTINGS)
    table.append(FRAMES[0])
    with pytest.raises(ConfigError, match="another process"):
        GrowingTable(tmp_path / "a.csv", SETTINGS)
    table.close()
    with pytest.raises(ConfigError, match=r"unfinished table of input=i; .*remove a\.csv\.state"):
        GrowingTable(tmp_path / "a.csv", SETTINGS | {"input": "j"})


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shards_merged_are_the_whole(tmp_path: Path, count: int) -> None:
    whole = write(tmp_path / "whole.csv", [*FRAMES, FRAMES[0].iloc[:1]])
    frames = [*FRAMES, FRAMES[0].iloc[:1]]
    path = tmp_path / "p.csv"
    for number in range(count, 0, -1):
        assert merge_shards(path, count, 2) is None
        write(shard_path(path, number, count), frames[number - 1 :: count], SETTINGS | {"shard": f"{number}/{count}"})
    state = merge_shards(path, count, 2)
    assert state and (state.predicted, state.rejected) == (7, 6)
    assert path.read_bytes() == whole
    assert not list(tmp_path.glob("p.shard*"))


def test_shards_of_different_runs_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    for number, source in ((1, "i"), (2, "j")):
        write(shard_path(path, number, 2), FRAMES[:1], {"model": "m", "input": source})
    with pytest.raises(ConfigError, match="other settings"):
        merge_shards(path, 2, 2)
