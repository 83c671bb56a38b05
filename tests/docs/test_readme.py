"""What README and the pages claim about the repository itself."""

import re
from pathlib import PurePosixPath

from aipartnerupflow import __version__
from aipartnerupflow.api import problems, settings_sources
from aipartnerupflow.api.cli.app import COMMANDS
from aipartnerupflow.api.cli.options import app
from tests.support import pages
from tests.support.repository import ROOT, files, pyproject

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUARANTEES = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
CLI = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

_LINK = re.compile(r"\]\(([^)#:]+)\)")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_each_promise_names_tests_that_are_there() -> None:
    named = [*_TEST.findall(README), *_TEST.findall(GUARANTEES)]
    assert named
    missing = [
        (file, name)
        for file, name in named
        if file not in files() or f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert not missing
    table = README.partition("## What is promised\n")[2].partition("\n\n")[0]
    promises = table.splitlines()[2:]
    assert promises
    assert [row for row in promises if not _TEST.search(row)] == []


def test_each_link_leads_to_a_file() -> None:
    own = [name for name in files() if name.endswith(".md")]
    broken = [
        (page, target)
        for page in own
        for target in _LINK.findall((ROOT / page).read_text(encoding="utf-8"))
        if not (ROOT / PurePosixPath(page).parent / target).exists()
    ]
    assert not broken


def test_what_is_to_be_typed_first_is_there() -> None:
    lines = [b.text for b in pages.blocks("README.md") if b.language == "sh"]
    words = "\n".join(lines)
    targets = re.findall(r"^make (\w+)", words, re.MULTILINE)
    assert targets == ["run", "test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [name for name in targets if f"\n{name}:" not in makefile] == []
    extras = {e for found in re.findall(r"'\.\[([\w,]+)\]'", words) for e in found.split(",")}
    assert extras <= set(pyproject()["project"]["optional-dependencies"])


def test_the_dependencies_of_the_core_are_those_that_readme_names() -> None:
    named = re.search(r"\*\*The core has dependencies\*\*, five: ([\w, -]+)\.", README)
    assert named is not None
    needed = [re.split(r"[><=\[]", each)[0] for each in pyproject()["project"]["dependencies"]]
    assert named[1].split(", ") == needed


def test_every_decision_is_listed_and_short() -> None:
    listed = re.findall(r"docs/decisions/[\w-]+\.md", (ROOT / "ARCHITECTURE.md").read_text())
    there = [name for name in files() if name.startswith("docs/decisions/")]
    assert listed == there
    for name in there:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 12
        assert all(word in text for word in ("**Context.**", "**Choice.**", "**Costs.**"))


def test_the_version_has_its_entry() -> None:
    assert f"## [{__version__}]" in CHANGELOG
    assert pyproject()["project"]["version"] == __version__


def test_every_command_is_told() -> None:
    assert COMMANDS, "the modules that enter the commands"
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    assert commands == set(re.findall(r"^\| `apflow (\w+)", CLI, re.MULTILINE))
    listed = re.findall(r"command `apflow`: ([^.]+)\.", CHANGELOG)
    assert commands == {name for names in listed for name in names.split(", ")}


def test_every_exit_code_and_kind_of_problem_is_told() -> None:
    table = CLI.partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) ", table, re.MULTILINE)} == {
        int(code) for code in problems.Exit
    }
    told = set(re.findall(r"`([a-z-]+)`", table.partition("ends with one of")[2]))
    assert told == {kind.slug for kind in problems.KINDS.values()}


def test_every_setting_is_told() -> None:
    table = CLI.partition("## Settings")[2]
    keys = {
        key
        for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) ", table, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", row)
    }
    assert keys == set(settings_sources.KEYS)
