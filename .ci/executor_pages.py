"""Write docs/executors/: a page for each built-in executor, made from its schemas.

python .ci/executor_pages.py            write them
python .ci/executor_pages.py --check    say which are not as they would be written
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aipartnerupflow.adapters.executors import default_registry
from aipartnerupflow.adapters.executors.builtin import BUILTIN
from aipartnerupflow.adapters.executors.inventory import ExecutorInfo, describe

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "executors"
WHERE = {
    "loop": "in the event loop of the engine",
    "thread": "in a thread of the engine",
    "process": "in a worker process",
    "engine": "nowhere: the engine plays it, and it holds no slot",
}


def pages() -> dict[str, str]:
    """The text of each page by its file name."""
    infos = [describe(default_registry, id) for id in sorted(each.kind.id for each in BUILTIN)]
    found = {f"{info.id}.md": "\n".join(page(info)).rstrip() + "\n" for info in infos}
    return found | {"README.md": index(infos)}


def index(infos: list[ExecutorInfo]) -> str:
    lines = [
        "# Built-in executors",
        "Made from their schemas; `apflow executors` shows which of them can be used here, and how "
        "to make the others so.",
        "",
        "| id | what it does | extra |",
        "|---|---|---|",
    ]
    for info in infos:
        extra = f"`[{info.extra}]`" if info.extra else "none"
        lines.append(f"| [`{info.id}`]({info.id}.md) | {info.description} | {extra} |")
    return "\n".join(lines) + "\n"


def page(info: ExecutorInfo) -> Iterator[str]:
    """The lines of one page."""
    yield f"# {info.id}"
    yield f"{info.description}."
    yield ""
    needs = f"`pip install 'aipartnerupflow[{info.extra}]'`" if info.extra else "nothing further"
    yield f"Needs {needs}. Runs {WHERE[info.runs]}."
    if not info.enabled:
        yield f"**Off** until its operator switches it on: {info.advice}."
    if info.reattaches:
        yield "After a restart it finds its work again, and goes on with the same attempt."
    yield ""
    yield "## Inputs"
    yield from table(info.input_schema)
    for example in info.examples:
        yield "```json"
        yield json.dumps(example, indent=2)
        yield "```"
    if info.output_schema:
        yield ""
        yield "## Result"
        yield from table(info.output_schema)


def table(schema: Mapping[str, Any]) -> Iterator[str]:
    """The properties of a schema."""
    properties = schema.get("properties") or {}
    if not properties:
        yield "Anything."
        return
    required = schema.get("required", ())
    yield "| name | kind | |"
    yield "|---|---|---|"
    for name, value in properties.items():
        said = [value.get("description", "")] if value.get("description") else []
        if name in required:
            said.append("required")
        if "default" in value:
            said.append(f"default `{json.dumps(value['default'])}`")
        yield f"| `{name}` | {kind_of(value)} | {'; '.join(said)} |"


def kind_of(value: Mapping[str, Any]) -> str:
    """The type in words."""
    if "enum" in value:
        return ", ".join(f"`{json.dumps(one)}`" for one in value["enum"])
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "anyOf" in value:
        return " or ".join(kind_of(one) for one in value["anyOf"])
    kind = value.get("type", "anything")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def main() -> int:
    """Write, or check."""
    wanted = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    if "--check" in sys.argv:
        wrong = sorted(name for name in wanted | there if wanted.get(name) != there.get(name))
        if wrong:
            print(f"not as their schemas say: {', '.join(wrong)}. python .ci/executor_pages.py")
        return int(bool(wrong))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
