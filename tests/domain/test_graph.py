"""Whether a graph can be run: all that is wrong is told at once, in keys."""

import pytest

from aipartnerupflow.domain import graph
from aipartnerupflow.domain.errors import Fault
from aipartnerupflow.domain.graph import check
from aipartnerupflow.domain.specs import MAX_DEPENDENCIES, MAX_DEPTH, MAX_TASKS, TaskSpec
from aipartnerupflow.testing.trees import specs, task


def faults(*written: str | TaskSpec) -> list[Fault]:
    """Of a tree in which every parent without a written executor is a group."""
    return faults_in(specs(*written))


def faults_in(tasks: tuple[TaskSpec, ...]) -> list[Fault]:
    parents = {spec.parent for spec in tasks}
    with_executor = {spec.id for spec in tasks if b"executor_id" in bytes(spec.params)}
    groups = {n for n, s in enumerate(tasks) if s.id in parents - with_executor}
    return check(tasks, groups)


def codes(*written: str | TaskSpec) -> list[tuple[str, str]]:
    return [(fault.code, fault.where) for fault in faults(*written)]


def cycles(*written: str | TaskSpec) -> list[str]:
    """The path of each cycle; fails on any other fault."""
    found = faults(*written)
    assert {fault.code for fault in found} <= {"cycle"}
    return [fault.message.removeprefix("the dependencies form a cycle: ") for fault in found]


class TestSound:
    @pytest.mark.parametrize(
        "written",
        [
            ("r",),
            ("r", "a", "b <- a"),
            ("r", "b <- a", "a"),
            ("r", "a", "b <- a", "c <- a", "d <- b c?"),
            ("r", "g", "g/a", "h <- g", "h/b"),
            ("r", "g <- a", "g/b", "a"),
            ("r <- a", "a"),
            ("r", "g <- b", "g/h", "h/b"),
            ("r", "p(x) <- a", "p/a"),
            ("r", "p(x)", "p/a <- p"),
            ("r(x) <- a", "a"),
            ("r", "g", "g/p(x)", "p/m <- z", "z <- g"),
        ],
        ids=" ".join,
    )
    def test_a_graph_that_can_be_run_has_no_faults(self, written: tuple[str, ...]) -> None:
        assert faults(*written) == []

    def test_a_group_that_depends_on_what_is_below_it_says_only_what_holds_anyway(self) -> None:
        assert cycles("r <- a b", "a", "b <- a") == []


class TestParents:
    def test_no_tasks(self) -> None:
        assert [fault.code for fault in check((), set())] == ["no_tasks"]

    def test_several_roots(self) -> None:
        tasks = (task("r"), task("s", key="second"), task("t"))
        (fault,) = faults_in(tasks)
        assert (fault.code, fault.where) == ("several_roots", "second")
        assert "3 tasks without a parent (r, second, t)" in fault.message

    def test_an_unknown_parent(self) -> None:
        (fault,) = faults("r", "nobody/a")
        assert (fault.code, fault.where) == ("unknown_parent", "a")
        assert "'nobody'" in fault.message

    def test_parents_in_a_circle(self) -> None:
        (fault,) = faults("r", "c/a", "a/b", task("b/c", key="sea"))
        assert (fault.code, fault.where) == ("parent_cycle", "a")
        assert fault.message == "the parents form a cycle: a -> sea -> b -> a"

    def test_a_task_that_is_its_own_parent(self) -> None:
        assert codes("r", "a/a") == [("parent_cycle", "a")]

    def test_each_circle_of_parents_is_told_once(self) -> None:
        found = codes("r", "b/a", "a/b", "b/under", "under/deeper", "d/c", "c/d")
        assert found == [("parent_cycle", "a"), ("parent_cycle", "c")]

    def test_without_a_root_the_circle_is_the_reason(self) -> None:
        assert [f.code for f in faults_in((task("b/a"), task("a/b")))] == ["parent_cycle"]

    def test_depth_is_bounded(self) -> None:
        def tower(levels: int) -> list[tuple[str, str]]:
            return codes("n1", *(f"n{n}/n{n + 1}" for n in range(1, levels)))

        assert tower(MAX_DEPTH) == []
        assert tower(MAX_DEPTH + 1) == [("too_deep", f"n{MAX_DEPTH + 1}")]

    def test_a_long_circle_is_not_a_deep_tree(self) -> None:
        ring = [f"n{(n - 1) % 500}/n{n}" for n in range(500)]
        assert [code for code, _ in codes("r", *ring)] == ["parent_cycle"]


class TestDependencies:
    def test_on_itself(self) -> None:
        assert codes("r", "a <- a") == [("self_dependency", "a")]

    def test_on_what_is_not_there(self) -> None:
        (fault,) = faults("r", task("a <- ghost", key="k"))
        assert (fault.code, fault.where) == ("unknown_dependency", "k")
        assert "'ghost'" in fault.message
        assert "add_child" in fault.message

    def test_number_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert MAX_DEPENDENCIES == 10_000
        monkeypatch.setattr(graph, "MAX_DEPENDENCIES", 3)
        many = ("r", "a", "b", "c", "d")
        assert codes(*many, "e <- a b c") == []
        assert codes(*many, "e <- a b c d") == [("too_many_dependencies", "e")]

    def test_number_of_tasks_is_bounded_its_root_not_counted(self) -> None:
        tasks = [task("r"), *([task("r/a")] * MAX_TASKS)]
        assert "too_many_tasks" not in {fault.code for fault in check(tasks, {0})}
        (fault,) = check([*tasks, task("r/b")], {0})
        assert fault.code == "too_many_tasks"


class TestCycles:
    def test_the_path_is_named_in_keys_each_waiting_for_the_next(self) -> None:
        (path,) = cycles("r", task("a <- c", key="x"), task("b <- a", key="y"), "c <- b")
        assert path == "x -> c -> y -> x"

    def test_optional_dependencies_make_cycles_too(self) -> None:
        assert cycles("r", "a <- b?", "b <- a?") == ["a -> b -> a"]

    def test_what_merely_waits_for_a_cycle_is_not_named(self) -> None:
        assert cycles("r", "z <- a", "a <- b", "b <- a", "y <- z") == ["a -> b -> a"]

    def test_every_knot_is_told(self) -> None:
        found = cycles("r", "a <- b", "b <- a", "x <- y b", "y <- z", "z <- x")
        assert sorted(found) == ["a -> b -> a", "x -> y -> z -> x"]

    @pytest.mark.parametrize(
        ("written", "path"),
        [
            (("r", "g", "g/a <- g"), "g -> a -> g"),
            (("r", "a <- r"), "r -> a -> r"),
            (("r", "g", "g/h <- g", "h/a"), "g -> h -> g"),
            (("r", "g", "g/h", "h/a <- g"), "g -> h -> a -> g"),
            (("r", "g", "g/a <- x", "x <- g"), "g -> a -> x -> g"),
            (("r", "g <- x", "g/a", "x <- a"), "g -> x -> a -> g"),
            (("r", "g <- x", "g/p(e)", "p/a", "x <- a"), "g -> x -> a -> g"),
            (("r", "g <- h", "g/a", "h <- g", "h/b"), "g -> h -> g"),
            (("r", "g/a", "x <- a", "g <- x"), "a -> g -> x -> a"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_group_ends_after_its_children_and_its_dependencies_hold_below(
        self, written: tuple[str, ...], path: str
    ) -> None:
        assert cycles(*written) == [path]

    def test_a_parent_with_an_executor_does_not_wait_for_its_children(self) -> None:
        assert cycles("r", "p(x)", "p/a <- p") == []
        assert cycles("r", "p(x)", "p/a <- b", "b <- p") == []


class TestTogether:
    def test_faults_of_every_kind_are_told_at_once(self) -> None:
        tasks = (
            task("r"),
            task("second"),
            task("r/self <- self"),
            task("r/lost <- ghost"),
            task("nobody/orphan"),
            task("r/a <- b"),
            task("r/b <- a"),
            task("d/c"),
            task("c/d"),
            task("r/g <- h"),
            task("g/inner"),
            task("r/h <- inner"),
        )
        assert sorted((fault.code, fault.where) for fault in faults_in(tasks)) == [
            ("cycle", "a"),
            ("cycle", "g"),
            ("parent_cycle", "c"),
            ("self_dependency", "self"),
            ("several_roots", "second"),
            ("unknown_dependency", "lost"),
            ("unknown_parent", "orphan"),
        ]

    def test_before_groups_are_known_only_sure_faults_are_told(self) -> None:
        waits_for_its_group = specs("r", "g", "g/a <- g")
        assert check(waits_for_its_group, None) == []
        two_ways = specs("r <- a", "a <- z", "z <- r")
        assert [f.code for f in check(two_ways, {0})] == ["cycle"]
        assert check(two_ways, None) == []
        plain = specs("r", "a <- b", "b <- a")
        assert [f.code for f in check(plain, None)] == ["cycle"]
