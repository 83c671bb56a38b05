"""Trees to be run under fire: 20 tasks on average, some of which sleep a few milliseconds."""

import random
from typing import Any

Task = dict[str, Any]

KEYED, PLACES = "k", 2
"""The end of the ids of tasks that share so many places in the whole store."""
RETRY = {"backoff": "fixed", "initial_delay": 0.01}


def id_of(seed: int, number: int) -> str:
    """The id of the ``number``-th tree of a seed."""
    return f"c{seed}-{number}"


def grown(
    seed: int, number: int, *, smallest: int = 8, largest: int = 32, slower: float = 1.0
) -> list[Task]:
    """The tasks of the tree: a group over a chain, a fan, or something between."""
    rng = random.Random(f"{seed}:{number}")
    root = id_of(seed, number)
    shape = rng.choice(("chain", "fan", "mixed"))
    fails = rng.random() < 0.15
    tasks: list[Task] = []
    for n in range(rng.randint(smallest, largest)):
        before = [task["id"] for task in tasks]
        keyed = rng.random() < 0.1
        tasks.append(
            {
                "id": f"{root}.{n}{KEYED if keyed else ''}",
                "parent_id": root,
                "dependencies": _dependencies(rng, shape, before),
                "max_interruptions": rng.choice((5, 1_000, 1_000)),
                **({"concurrency": {"key": "chaos", "limit": PLACES}} if keyed else {}),
                **_work(rng, fails, slower),
            }
        )
    return [{"id": root, "name": "root"}, *tasks]


def _dependencies(rng: random.Random, shape: str, before: list[str]) -> list[Task]:
    if not before or shape == "fan":
        return []
    chosen = before[-1:] if shape == "chain" else rng.sample(before, min(len(before), 2))
    return [{"id": id, "required": rng.random() < 0.8} for id in chosen]


def _work(rng: random.Random, fails: bool, slower: float) -> Task:
    seconds = rng.choice((0, 0, 0, 0.002, 0.005, 0.03)) * slower
    kind = rng.random()
    if kind < 0.4:
        return {"name": "chaos_nap", "inputs": {"seconds": seconds}}
    if kind < 0.55:
        size = rng.choice((1, 1, 1, 100_000))
        return {"name": "chaos_work", "inputs": {"seconds": seconds, "bytes": size}}
    if kind < 0.7:
        inputs = {"seconds": seconds, "fails": rng.randint(1, 2)}
        return {"name": "chaos_flaky", "inputs": inputs, "retry": RETRY}
    if kind < 0.8:
        return {"name": "wait", "inputs": {"seconds": seconds}}
    if kind < 0.95 or not fails:
        return {"name": "chaos_keep", "inputs": {"seconds": seconds / 3}}
    return {"name": "chaos_trip", "inputs": {"seconds": seconds}}
