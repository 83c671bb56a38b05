"""`apflow rebuild`: what the log says, against what the rows say."""

from collections.abc import Sequence

from ...domain.errors import NotBuilt
from ...projections.rebuild import Difference, StatusStore, compare, rebuild
from ..problems import Exit
from ..wiring import care_of
from .console import Console, clean
from .desk import look_at
from .text import count

SHOWN = 20
"""So many differences a table are named."""


def main(console: Console, *, check: bool, store: str | None) -> int:
    """Compare, tell, and unless it is only a check, make the rows again."""
    desk = look_at(store)
    care = care_of(desk.store)
    status = care.status()
    if status is None:
        raise NotBuilt(f"the rows of {desk.place} cannot be made again by this version yet")
    seen, differences = compare(status, limit=SHOWN)
    console.say(
        f"compared the rows of trees and tasks with {count(seen.events, 'event')}: "
        + (f"{len(differences)} differ" if differences else "equal")
    )
    if not check:
        _rebuild(console, status)
        if (timeline := care.timeline()) is not None:
            console.say(f"timeline made again up to position {timeline.rebuild()}")
    return _conclude(console, differences, seen.events, check=check)


def _rebuild(console: Console, status: StatusStore) -> None:
    done = rebuild(status)
    console.say(f"rows made again from {count(done.events, 'event')}, position {done.position}")


def _conclude(
    console: Console, differences: Sequence[Difference], events: int, *, check: bool
) -> int:
    if console.json:
        told = [{"table": d.table, "key": d.key, "detail": str(d)} for d in differences]
        console.document({"events": events, "differences": told, "rebuilt": not check})
    else:
        for difference in differences:
            console.print(clean(str(difference), 300))
    if differences and check:
        console.say("`apflow rebuild` without --check mends the rows; the log is what counts.")
        return Exit.ERROR
    return Exit.OK
