"""How long modules and functions may grow, and how they import one another."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.support.repository import PACKAGE, ROOT, product_modules

MODULE_LINES = 300
FUNCTION_LINES = 50

# What may be longer, how long, and why: {"engine/x.py": (340, "…"), "engine/x.py:run": (60, "…")}
LONGER: dict[str, tuple[int, str]] = {
    "domain/events.py": (330, "the register of all facts, one short class each"),
}


@cache
def parsed(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"), filename=name)


def functions(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def absolute_imports(name: str) -> Iterator[tuple[int, str]]:
    """The line and the module of each import that is not relative."""
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, node.module or ""


def lengths() -> dict[str, int]:
    """Lines of each module (`path`) and function (`path:name`, the longest of a name)."""
    found = {}
    for name in product_modules():
        found[name] = len((ROOT / name).read_text(encoding="utf-8").splitlines())
        for node in functions(name):
            key = f"{name}:{node.name}"
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            found[key] = max(size, found.get(key, 0))
    return found


def usual(key: str) -> int:
    return FUNCTION_LINES if ":" in key else MODULE_LINES


def allowed(key: str) -> int:
    return LONGER[key][0] if key in LONGER else usual(key)


def test_modules_and_functions_are_short() -> None:
    assert {key: size for key, size in lengths().items() if size > allowed(key)} == {}


def test_each_exception_still_has_a_cause_and_a_reason() -> None:
    sizes = lengths()
    short = [key for key in LONGER if sizes.get(key, 0) <= usual(key)]
    assert not short, "short again or gone: take it off the list"
    assert all(reason for _, reason in LONGER.values())


def test_the_package_imports_itself_relatively() -> None:
    """An absolute import of an inner module breaks where the checkout is not what is installed.

    The root `__init__.py` is the exception: there a relative import makes pytest load each
    module twice. ruff cannot tell: it resolves relative imports by the name of the checkout.
    """
    absolute = [
        f"{name}:{line}"
        for name in product_modules()
        if name != "__init__.py"
        for line, module in absolute_imports(name)
        if module.split(".")[0] == PACKAGE
    ]
    assert not absolute
