"""What is installed, and that the tree names no machine and no registry."""

import re
from pathlib import PurePosixPath

from tests.support.repository import PACKAGE, ROOT, files, product_modules, pyproject

CONSTRAINT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*==[A-Za-z0-9.!+_-]+")
# Put together from parts, so that this file does not name them either.
MACHINE_PATH = re.compile(r"(?<![\w.-])/(?:" + "|".join(["work", "farm", "root"]) + r")/")
REGISTRY = re.compile(
    "|".join(
        [
            r"pypi\.org/" + "simple",
            r"files\.python" + "hosted",
            r"registry\." + "npmjs",
            r"index-url[ =]+\w+:" + "//",
            r'"resolved": *"' + "http",
        ]
    )
)


def test_the_package_list_names_every_folder_that_is_a_package() -> None:
    folders = {
        PurePosixPath(name).parent for name in product_modules() if name.endswith("__init__.py")
    }
    found = {".".join([PACKAGE, *folder.parts]) for folder in folders}
    assert set(pyproject()["tool"]["setuptools"]["packages"]) == found


def test_every_module_lies_in_a_package() -> None:
    inits = {name for name in files() if name.endswith("__init__.py")}
    homeless = [
        name
        for name in product_modules()
        if str(PurePosixPath(name).with_name("__init__.py")) not in inits
    ]
    assert not homeless


def test_the_extra_all_holds_every_extra_but_the_two_that_do_not_fit() -> None:
    extras = pyproject()["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    listed = set(everything.removeprefix(f"{PACKAGE}[").removesuffix("]").split(","))
    assert listed == set(extras) - {"all", "dev", "crewai", "ray"}


def test_constraints_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines
    assert [line for line in lines if not CONSTRAINT.fullmatch(line)] == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    hits = []
    for name in files():
        try:
            lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # a picture or a font
        hits += [
            f"{name}:{number}"
            for number, line in enumerate(lines, 1)
            if MACHINE_PATH.search(line) or REGISTRY.search(line)
        ]
    assert not hits
