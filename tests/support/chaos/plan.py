"""What a program that will be treated badly is to do: its one argument, as JSON."""

from msgspec import Struct


class Plan(Struct, omit_defaults=True):
    """Trees ``part``, ``part + parts``, … below ``trees`` of the forest of ``seed`` are run.

    ``beside`` is how many at a time, ``smallest`` and ``largest`` how many tasks they have, which
    sleep ``slower`` times as long as the forest says. With ``watch`` it takes up trees of dead
    engines, with leases of so many seconds, and stays until nothing is open. ``stands``: it says so
    and waits a moment inside a transaction, once. With ``jumps`` its clock is set again and again,
    from that seed. ``trouble`` befalls the store so many ``times``
    and ``lasts`` so many seconds; the store is copied to ``kept.db`` at the end.
    """

    url: str
    seed: int
    trees: int = 10
    beside: int = 3
    part: int = 0
    parts: int = 1
    smallest: int = 8
    largest: int = 32
    slower: float = 1.0
    watch: float | None = None
    stands: bool = False
    jumps: int | None = None
    trouble: str = ""
    times: int = 3
    lasts: float = 1.0
