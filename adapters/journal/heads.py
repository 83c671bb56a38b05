"""The ends of the streams that a recorder has just written to, held in memory."""

from collections.abc import Sequence

from .chain import Head
from .journal import Batch

MAX_HEADS = 20_000


class Heads:
    """Spares a recorder asking for what it wrote itself. Not thread-safe."""

    def __init__(self) -> None:
        self._held: dict[str, Head] = {}

    def at(self, tree: str, version: int) -> Head | None:
        """The head, if it is held and at ``version``; another process may have moved it on."""
        head = self._held.get(tree)
        return head if head is not None and head.version == version else None

    def keep(self, batches: Sequence[Batch], heads: Sequence[Head]) -> None:
        """Only after the commit: a head that moved in a lost transaction breaks the chain."""
        for batch, head in zip(batches, heads, strict=True):
            if batch.changes.tree.phase in ("settled", "adopted"):
                self._held.pop(batch.tree, None)
            else:
                self._held[batch.tree] = head
        if len(self._held) > MAX_HEADS:
            self._held.clear()

    def forget(self, batches: Sequence[Batch]) -> None:
        """What became of these is not known."""
        for batch in batches:
            self._held.pop(batch.tree, None)

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()


def numbered(heads: list[Head], nums: Sequence[int]) -> list[Head]:
    """The heads with the row numbers that new trees were given."""
    for head in heads:
        if head.num < 0:
            head.num = nums[-head.num - 1]
    return heads
