"""The clock of tests stands still."""

import pytest

from aipartnerupflow.engine.ports import Clock
from aipartnerupflow.testing.clock import VirtualClock


def test_it_stands_still_until_it_is_moved() -> None:
    clock = VirtualClock()
    assert clock.text() == clock.text() == "2026-01-01T00:00:00.000000Z"
    clock.advance(1.5)
    assert clock.text() == "2026-01-01T00:00:01.500000Z"


def test_time_passes_forward_only_but_a_clock_can_be_set_back() -> None:
    clock = VirtualClock(start=1000.0)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    clock.jump(-1000.0)
    assert clock.now() == 0.0


def test_the_engine_can_run_on_it() -> None:
    clock: Clock = VirtualClock(start=5.0)
    assert clock.now() == 5.0
