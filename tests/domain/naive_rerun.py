"""Re-runs by definition: which tasks begin anew, which may run by it, and which are kept."""

from collections.abc import Collection, Sequence

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import AnyEvent
from tests.domain.naive import BAD, TERMINAL, Naive


def never_completes(naive: Naive, id: str) -> bool:
    """Whether it has ended badly or has to, by what it requires or, a group, by a child."""
    status, children = naive.status(id), naive.shape.children(id)
    if status in TERMINAL:
        return status != "completed"
    requires = [on for on, required in naive.shape.needs(id) if required]
    relies_on = (requires if status == "pending" else []) + (
        children if id in naive.shape.groups else []
    )
    return any(never_completes(naive, one) for one in relies_on)


class NaivePlan:
    """A re-run of what a log tells; ``refused`` where there is nothing to do or it must not be."""

    def __init__(self, naive: Naive, way: str, ids: Sequence[str]) -> None:
        self.naive = naive
        specs, groups = naive.shape.specs, naive.shape.groups
        again = self._asked(way, ids)
        self.over = {id for id in again if naive.status(id) in TERMINAL}
        then = self._after(self.over)
        while more := self._groups_above(then):
            self.over |= more
            then = self._after(self.over)
        self.reopened = [id for id in specs if id in self.over]
        self.runs = [
            id
            for id in specs
            if id not in groups and then.status(id) == "pending" and not never_completes(then, id)
        ]
        self.kept = [id for id in specs if id not in groups and then.status(id) == "completed"]
        in_progress = any(naive.status(id) == "in_progress" for id in again - groups)
        being_cancelled = naive.cancelling and not naive.tree_status()
        useless = not self.over.intersection(self.runs)
        self.refused = not naive.submitted or in_progress or being_cancelled or useless

    def _asked(self, way: str, ids: Sequence[str]) -> set[str]:
        specs, groups = self.naive.shape.specs, self.naive.shape.groups
        if way == "all":
            return set(specs)
        if way == "failed":
            return {id for id in specs if id not in groups and self.naive.status(id) in BAD}
        found = set(ids)
        for id in ids:
            found |= self._below(id) if id in groups else set()
        while more := {id for one in found for id in self._comes_after(one)} - found:
            found |= more
        return found

    def _below(self, group: str) -> set[str]:
        shape = self.naive.shape
        return {id for id in shape.specs if group in shape.above(id)}

    def _comes_after(self, one: str) -> Collection[str]:
        """What needs it, itself or by a group above, and the group that it is in."""
        shape = self.naive.shape
        found = {id for id in shape.specs if one in [on for on, _ in shape.needs(id)]}
        return found | ({shape.parent(one) or ""} & shape.groups)

    def _after(self, over: Collection[str]) -> Naive:
        """How it would be with these tasks open again."""
        facts: list[AnyEvent] = [e.TaskReopened(at="", task=id, generation=0) for id in over]
        return Naive([*self.naive.log, *facts, e.TreeReopened(at="")], self.naive.shape)

    def _groups_above(self, then: Naive) -> set[str]:
        """Groups that have ended, with a child that would be open or would have been reopened."""
        shape = self.naive.shape
        return {
            group
            for group in shape.groups
            if then.status(group) in TERMINAL
            and any(child in self.over or not then.ended(child) for child in shape.children(group))
        }
