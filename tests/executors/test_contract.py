"""What holds for every executor: what it refuses, how it ends, and that nothing is left behind."""

import asyncio
import json
import logging
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aipartnerupflow import Flow
from aipartnerupflow.api.cli.desk import settle_in
from tests.support.executor_cases import CANARY, Case, Inputs
from tests.support.places import environment, until
from tests.support.programs import APFLOW, apflow

SECONDS = 20.0
"""For anything that should be at once."""


def task(case: Case, inputs: Inputs, **more: Any) -> dict[str, Any]:
    fields = {"id": "t", "name": case.executor, "inputs": inputs}
    return fields | case.policy | more


async def ran(case: Case, inputs: Inputs, **more: Any) -> Any:
    """Run one task to its end; gives it as it stands then."""
    settle_in(None)
    async with Flow(str(case.folder / "s.db")) as flow:
        tree = await flow.submit([task(case, inputs, **more)])
        async with asyncio.timeout(SECONDS):
            await tree.settled()
        return await tree.task("t")


async def test_it_works(case: Case) -> None:
    found = await ran(case, case.works())
    assert found.status == "completed", found.error
    case.shows(found.result)


async def test_inputs_that_make_no_sense_fail_the_task_and_reach_nothing(case: Case) -> None:
    for n, inputs in enumerate(case.wrong()):
        found = await ran(case, inputs, id=f"t{n}", key="t")
        assert (found.status, found.attempt) == ("failed", 1), (inputs, found.result)
        assert found.error
    assert case.begun() == 0


async def test_a_refusal_of_the_far_side_fails_the_task_at_once(case: Case) -> None:
    found = await ran(case, case.fails())
    assert (found.status, found.attempt) == ("failed", 1)
    assert found.error


async def test_what_passes_by_itself_is_tried_once_more(case: Case) -> None:
    retry = {"max_attempts": 3, "initial_delay": 0.05}
    found = await ran(case, case.flaky(), retry=retry)
    assert (found.status, found.attempt) == ("completed", 2), found.error


async def test_an_attempt_past_its_timeout_is_really_over(case: Case) -> None:
    found = await ran(case, case.hangs(), timeout=1.0, retry={"max_attempts": 1})
    assert (found.status, found.attempt) == ("failed", 1)
    assert case.begun() == 1
    await until(lambda: case.running() == 0)


async def test_a_cancelled_task_leaves_nothing_running(case: Case) -> None:
    settle_in(None)
    async with Flow(str(case.folder / "s.db")) as flow:
        tree = await flow.submit([task(case, case.hangs())])
        await until(lambda: case.running() == 1)
        await tree.cancel()
        async with asyncio.timeout(SECONDS):
            assert await tree.settled() == "cancelled"
    await until(lambda: case.running() == 0)
    assert case.begun() == 1


@pytest.mark.slow
def test_after_a_crash_it_goes_on_as_declared(case: Case) -> None:
    """Found again where the work outlives its engine; else that ends, and is begun once more under
    the same key.
    """
    home = case.folder
    (home / "tree.json").write_text(json.dumps([task(case, case.hangs())]))
    process = subprocess.Popen(
        [*APFLOW, "run", "tree.json", "--store", "s.db"], cwd=home, env=environment(home),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    asyncio.run(until(lambda: case.begun() == 1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    if case.notices and not case.reattaches:
        asyncio.run(until(lambda: case.running() == 0))
    case.let_go()
    done = apflow("resume", "--store", "s.db", "--json", home=home)
    assert done.returncode == 0, done.stderr
    (tree,) = json.loads(done.stdout)["items"]
    assert tree["status"] == "completed"
    topics = _topics(home)
    if case.reattaches:
        assert topics.count("task.started") == case.begun() == 1
        assert "attempt.taken_over" in topics
    else:
        assert topics.count("task.started") == case.begun() == 2
        assert "task.interrupted" in topics


def _topics(home: Path) -> list[str]:
    lines = apflow("history", "t", "--store", "s.db", "--json", home=home).stdout.splitlines()
    return [json.loads(line)["type"] for line in lines]


async def test_a_secret_is_in_nothing_that_is_kept(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        found = await ran(case, case.leaks())
    assert found.status == "completed", found.error
    assert "[secret CANARY]" in json.dumps(found.result)
    assert CANARY not in caplog.text
    for path in case.folder.glob("s.db*"):
        assert CANARY.encode() not in path.read_bytes(), path.name


async def test_of_what_says_too_much_a_bounded_part_is_kept(case: Case) -> None:
    found = await ran(case, case.floods())
    kept = len(json.dumps(found.result)) if found.status == "completed" else 0
    assert kept < 16 << 20
    assert found.status == "failed" or "truncated" in json.dumps(found.result)
