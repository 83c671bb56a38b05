"""`apflow submit`: a tree from a file, for a server, or for whatever engine takes it up."""

from collections.abc import Sequence

from ..submitting import parse
from .choosing import prepared_source_of
from .console import Console
from .reading import STDIN, read_bytes, require_json


def main(
    console: Console,
    *,
    file: str,
    key: str | None,
    store: str | None,
    server: str | None,
    imports: Sequence[str] | None,
) -> int:
    """Make the tree; prints its id once it is durable."""
    body = read_bytes(file)
    require_json(body, "stdin" if file == STDIN else file)
    parse(body)
    with prepared_source_of(store, server, imports, make=True) as source:
        done = source.submit(body, key)
        if console.json:
            console.document(done)
            return 0
        console.print(done.id)
        console.flush()
        if done.draft:
            console.say("it is a draft: nothing of it runs until it is started")
        console.say(f"to follow it: {source.command('watch', done.id)}")
    return 0
