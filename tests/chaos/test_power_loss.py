"""Power loss on SQLite: what is left is a beginning of the log with all that was acknowledged."""

from pathlib import Path

import pytest

from tests.support.chaos.powerloss import lose_power
from tests.support.chaos.tally import Tally


@pytest.mark.slow
@pytest.mark.parametrize("events", [100, 700])
def test_any_rest_of_the_write_ahead_log_is_a_beginning_with_all_that_was_acknowledged(
    events: int, tmp_path: Path, tally: Tally
) -> None:
    lose_power(tmp_path, tally, seed=events, events=events, full=25)
    assert tally.violations == []
    assert tally.counts["WAL cuts"] > 20
