"""A tree built and followed in Python: the longest words of this repository's pages.

python examples/flow.py
"""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

from aipartnerupflow import Flow, TreeBuilder, task

REPOSITORY = Path(__file__).resolve().parent.parent


@task
def words_of(page: str) -> dict[str, int]:
    """The words of a page and how often they stand there. Blocks, so it runs in a thread."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return Counter(re.findall(r"[a-z]{4,}", text.lower()))


@task
async def longest(pages: list[dict[str, int]], number: int) -> list[list[Any]]:
    """The longest words of all pages together."""
    together: Counter[str] = Counter()
    for page in pages:
        together.update(page)
    ranked = sorted(together, key=lambda word: (-len(word), word))
    return [[word, together[word]] for word in ranked[:number]]


def built(pages: list[str], number: int) -> TreeBuilder:
    """One task a page, and one that waits for them all."""
    tree = TreeBuilder("words", limit=4)
    counted = [tree.task(words_of, page, inputs={"page": page}) for page in pages]
    results = [each.result() for each in counted]
    tree.task(longest, "longest", inputs={"pages": results, "number": number})
    return tree


async def main() -> None:
    """Submit, follow, read."""
    pages = sorted(str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("*.md"))
    async with Flow() as flow:
        tree = await flow.submit(built(pages, number=5))
        async for recorded in tree.events():
            print(f"{recorded.version:>4}  {recorded.event.topic}")
        print(await tree.settled())
        for word, times in (await tree.task("longest")).result:
            print(f"{times:>4}  {word}")


if __name__ == "__main__":
    asyncio.run(main())
