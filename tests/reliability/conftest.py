"""What a test has measured for the table of `python -m tests.reliability`."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """measured("R1", "20 of 20 runs ...") puts the text into that row."""
    return lambda row, text: request.node.user_properties.append((row, text))
