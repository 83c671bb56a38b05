"""What is drawn of a run: never more than the screen, and never what users wrote as it is."""

from io import StringIO

import pytest
from rich.console import Console as Terminal

from aipartnerupflow.api.cli.console import Console, clean
from aipartnerupflow.api.cli.live import LiveView
from aipartnerupflow.api.cli.text import elapsed, seconds
from aipartnerupflow.api.cli.watch import Watch
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.specs import ErrorInfo, TaskSpec

AT = "2026-01-01T00:00:00.000000Z"
HEIGHT = 24


def submitted(watch: Watch, *specs: TaskSpec) -> "list[e.AnyEvent]":
    """Let the watch see a new tree of these tasks; returns where to put what happens next."""
    take = watch.observer()
    take(
        [
            e.TreeCreated(at=AT, uid="u", name="tree", specs=specs[:2]),
            e.TasksAdded(at=AT, specs=specs[2:]),
            e.TreeClaimed(at=AT, engine="e", epoch=1),
        ]
    )

    class Facts(list[e.AnyEvent]):
        def append(self, fact: e.AnyEvent) -> None:
            take([fact])

    return Facts()


def specs(count: int) -> list[TaskSpec]:
    """A root and ``count`` tasks below it; the root comes last."""
    below = [TaskSpec(id=f"t{n}", name="x", parent="root") for n in range(count)]
    return [*below, TaskSpec(id="root", name="root")]


def drawn(watch: Watch) -> str:
    """The picture as plain text."""
    terminal = Terminal(file=StringIO(), width=80, height=HEIGHT, force_terminal=True)
    return LiveView(Console(), watch, terminal).picture().plain


def test_a_small_tree_is_drawn_whole_each_task_below_its_parent() -> None:
    watch = Watch()
    facts = submitted(watch, *specs(3))
    facts.append(e.TaskStarted(at=AT, task="t0"))
    facts.append(e.TaskStarted(at=AT, task="t1", attempt=2))
    facts.append(e.TaskProgressed(at=AT, task="t1", attempt=2, progress=0.5, message="half"))
    facts.append(e.TaskCompleted(at=AT, task="t0"))
    facts.append(e.TaskStarted(at=AT, task="t2"))
    facts.append(e.TaskFailed(at=AT, task="t2", error=ErrorInfo("ValueError", "no")))
    head, *rows = drawn(watch).splitlines()
    assert "tree  root" in head
    assert "2/4  1 running  1 failed" in head
    assert rows[0] == "  ○ root"
    assert rows[1].startswith("    ✔ t0  ")
    assert rows[2].startswith("    ● t1  ")
    assert rows[2].endswith("attempt 2  50%  half")
    assert rows[3].endswith("ValueError: no")


def test_a_big_tree_is_drawn_as_figures_and_what_matters_now() -> None:
    watch = Watch()
    facts = submitted(watch, *specs(10_000))
    for n in range(5_000):
        facts.append(e.TaskStarted(at=AT, task=f"t{n}"))
        if n < 4_000:
            facts.append(e.TaskCompleted(at=AT, task=f"t{n}"))
    facts.append(e.TaskFailed(at=AT, task="t4999", error=ErrorInfo("ValueError", "no")))
    rows = drawn(watch).splitlines()
    assert len(rows) < HEIGHT
    assert "4001/10001  999 running  1 failed" in rows[0]
    assert "✘ t4999" in rows[1]
    assert sum("●" in row for row in rows) > 5
    assert "✔ t3999" in "\n".join(rows)


def test_many_trees_are_drawn_a_line_each_as_far_as_they_fit() -> None:
    watch = Watch()
    for n in range(100):
        facts = submitted(watch, TaskSpec(id=f"tree{n:04}", name="x"))
        if n < 90:
            facts.append(e.TreeSettled(at=AT, status="completed"))
    rows = drawn(watch).splitlines()
    assert len(rows) < HEIGHT
    assert rows[0].startswith("90/100 trees")
    assert "tree0090" in rows[1]


def test_nothing_is_drawn_before_there_is_a_tree() -> None:
    assert drawn(Watch()) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("left\u202eright", "left\\u202eright"),
        ("plain é 漢", "plain é 漢"),
    ],
)
def test_what_users_wrote_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown
    watch = Watch()
    submitted(watch, TaskSpec(id="t", key=text, name="x"))
    assert shown in drawn(watch)


def test_long_texts_are_cut() -> None:
    assert clean("x" * 10, 4) == "xxx…"


def test_durations_are_as_precise_as_is_of_use() -> None:
    shown = [seconds(value) for value in (0.004, 9.994, 12.34, 61, 3599.6, 7322)]
    assert shown == ["0.00s", "9.99s", "12.3s", "61.0s", "1h00m00s", "2h02m02s"]
    assert elapsed("2026-01-01T23:59:59.500000Z", "2026-01-02T00:00:01.000000Z") == 1.5
