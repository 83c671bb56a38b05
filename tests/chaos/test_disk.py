"""A full disk and a locked store: the engine says so, readers are served, it goes on by itself."""

from pathlib import Path

import pytest

from tests.support.chaos.fullness import TREES, endure, small_disk
from tests.support.chaos.plan import Plan
from tests.support.chaos.tally import Tally


@pytest.mark.slow
def test_a_full_disk_loses_nothing_and_the_run_goes_on_when_there_is_space_again(
    tmp_path: Path, tally: Tally
) -> None:
    disk = tmp_path / "small"
    disk.mkdir()
    prefix = small_disk(disk)
    if prefix is None:
        pytest.skip("no file system can be mounted here, in a namespace neither")
    plan = Plan(str(disk / "s.db"), seed=1, trees=TREES, trouble="full", lasts=0.5)
    endure(tmp_path, tally, plan, prefix, reason="no_space_left")
    assert tally.violations == []
    assert tally.counts["full: healed"] == plan.times


@pytest.mark.slow
def test_a_store_that_others_keep_locked_holds_the_run_up_and_no_more(
    tmp_path: Path, tally: Tally
) -> None:
    plan = Plan(str(tmp_path / "s.db"), seed=2, trees=TREES, trouble="locked", lasts=1.0)
    endure(tmp_path, tally, plan, reason="")
    assert tally.violations == []
    assert tally.counts["locked: healed"] == plan.times
