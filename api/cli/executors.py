"""`apflow executors`: what tasks can name, and what each takes."""

from collections.abc import Callable, Sequence
from contextlib import closing
from difflib import get_close_matches

import msgspec
from msgspec import Raw

from ...domain.errors import ApflowError, InvalidInput, NotFound
from ..documents import ExecutorDocument, Page
from ..wiring import ExecutorInfo, describe_executor, inventory
from .choosing import server_of
from .console import Console, clean
from .desk import settle_in
from .text import result_text

Executor = ExecutorInfo | ExecutorDocument


class NoSuchExecutor(NotFound):
    """No executor by that id."""

    def __init__(self, id: str, known: Sequence[str]) -> None:
        self.what, self.id = "executor", id
        close = get_close_matches(id, known, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"There are {', '.join(known)}."
        ApflowError.__init__(
            self, f"there is no executor {id!r} here. {hint} --import loads a module with others."
        )


def main(
    console: Console, *, id: str | None, imports: Sequence[str] | None, server: str | None
) -> int:
    """List all, or show one: those of the server, unless modules are named to be imported here."""
    if imports and server is not None:
        raise InvalidInput("--import and --server exclude each other: a server has its own modules")
    remote = None if imports else server_of(None, server)
    if remote is None:
        settle_in(imports)
        return _shown(console, id, inventory, describe_executor)
    with closing(remote):
        return _shown(console, id, remote.executors, remote.executor)


def _shown(
    console: Console,
    id: str | None,
    all_: Callable[[], Sequence[Executor]],
    one: Callable[[str], Executor],
) -> int:
    if id is not None:
        try:
            return _one(console, one(id))
        except NotFound:
            raise NoSuchExecutor(id, [info.id for info in all_()]) from None
    found = list(all_())
    if console.json:
        console.document(Page(found))
        return 0
    width = max((len(info.id) for info in found), default=0)
    for info in found:
        console.print(_line(console, info, width))
    console.say("one in full, with its schema: apflow executors ID")
    return 0


def _line(console: Console, info: Executor, width: int) -> str:
    origin = "built in" if info.built_in else f"from {info.module}" if info.module else ""
    text = clean(info.description, 100) if info.usable else clean(info.why, 160)
    state = "" if info.usable else console.paint("not usable  ", "yellow")
    return f"{clean(info.id):<{width}}  {origin:<10}  {state}{text}"


def _one(console: Console, info: Executor) -> int:
    if console.json:
        console.document(info)
        return 0
    console.print(_line(console, info, 0))
    if info.advice:
        console.print(f"  to use it: {clean(info.advice, 300)}")
    if info.reattaches:
        console.print("  after a restart: it finds its work again")
    if info.runs:
        limit = f", at most {info.limit} at once" if info.limit is not None else ""
        console.print(f"  runs in: {info.runs}{limit}")
    for name, value in (("inputs", info.input_schema), ("result", info.output_schema)):
        if value:
            console.print(f"  {name}: {_json(value)}")
    for example in info.examples:
        console.print(f"  example inputs: {_json(example)}")
    return 0


def _json(value: object) -> str:
    return result_text(Raw(msgspec.json.encode(value)))
