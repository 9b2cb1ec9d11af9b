"""Every pinned package has the SHA-256 of its files, and nothing else is in the list."""

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def test_hashes_are_those_of_the_pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    listed = re.split(r"^(?=\w)", (ROOT / "constraints-hashes.txt").read_text(), flags=re.MULTILINE)[1:]
    hashes = {text.split(" ", 1)[0]: re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text) for text in listed}
    assert set(hashes) == {f"{canonicalize_name(one.name)}{one.specifier}" for one in pinned}
    assert all(hashes.values()), "run `make hashes`"
