"""The example of an executor in a package of its own: installed, tested, used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import environment
from tests.support.programs import APFLOW
from tests.support.repository import ROOT

PACKAGE = ROOT / "examples" / "thermometer"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is installed, as pip does it; a copy is built, so that nothing is left behind."""
    folder = tmp_path_factory.mktemp("thermometer")
    source = folder / "source"
    source.mkdir()
    for path in PACKAGE.iterdir():
        if path.is_file():
            (source / path.name).write_bytes(path.read_bytes())
    target = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--target", str(target), str(source)],
        check=True, timeout=100,
    )  # fmt: skip
    return target


def run(site: Path, home: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    variables = environment(home)
    variables["PYTHONPATH"] = f"{site}:{variables['PYTHONPATH']}"
    return subprocess.run(
        command, cwd=home, env=variables, text=True, capture_output=True, timeout=100
    )


@pytest.mark.slow
def test_its_own_tests_hold(site: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_bytes((PACKAGE / "test_thermometer.py").read_bytes())
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))
    done = run(site, tmp_path, sys.executable, "-m", "pytest", *options, "test_it.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


@pytest.mark.slow
def test_it_is_there_once_it_is_installed(site: Path, tmp_path: Path) -> None:
    shown = run(site, tmp_path, *APFLOW, "executors", "thermometer", "--json")
    assert json.loads(shown.stdout)["usable"] is True
    tree = [{"id": "t", "name": "thermometer", "inputs": {"place": "cellar"}}]
    (tmp_path / "tree.json").write_text(json.dumps(tree))
    done = run(site, tmp_path, *APFLOW, "run", "tree.json", "--store", "s.db", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tasks"][0]["result"] == {"celsius": 12.0, "readings": 3}
