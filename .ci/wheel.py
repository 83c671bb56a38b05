"""Build the sdist and from it the wheel, install it into a new virtual environment, try it.

Everything happens in a temporary folder, with the newest versions that are allowed.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "aipartnerupflow"
# Importing the package must not load these: they are slow, and not installed with the core.
NOT_LOADED = "fastapi, uvicorn, httpx, psycopg, typer, rich"
IMPORT = f"""
import sys
import {PACKAGE}
loaded = sorted({{*"{NOT_LOADED}".split(", ")}} & {{*sys.modules}})
sys.exit(f"import {PACKAGE} loads {{loaded}}" if loaded else 0)
"""


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command; what it printed is shown only if it fails."""
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed with {done.returncode}: {' '.join(map(str, command))}")


def build(into: Path) -> Path:
    run(sys.executable, "-m", "build", "--outdir", into, ROOT, cwd=into)
    (wheel,) = into.glob("*.whl")
    return wheel


def expected_files() -> set[str]:
    """The modules of the packages and all SQL below them, by their names in the wheel."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = [ROOT.joinpath(*package.split(".")[1:]) for package in settings["packages"]]
    paths = {ROOT / "py.typed"}
    for folder in folders:
        paths |= {*folder.glob("*.py"), *folder.glob("*.sql")}
        if folder != ROOT:
            paths |= {*folder.rglob("*.sql")}
    return {f"{PACKAGE}/{path.relative_to(ROOT)}" for path in paths}


def check_contents(wheel: Path) -> None:
    """What the wheel lacks or has too much (a module that is gone, a folder beside the package)."""
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = expected_files()
    if found != expected:
        sys.exit(f"missing: {sorted(expected - found)}\nunexpected: {sorted(found - expected)}")


def install(python: Path, wheel: Path, extra: str = "") -> None:
    pip_install = (sys.executable, ROOT / ".ci" / "uv.py", "pip", "install", "--quiet")
    what = f"{PACKAGE}{extra} @ {wheel.as_uri()}"
    run(*pip_install, "--python", python, what, cwd=wheel.parent)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="apflow-wheel-") as folder:
        home = Path(folder)
        wheel = build(home)
        check_contents(wheel)
        venv.create(home / "venv", with_pip=True)
        bin_dir = home / "venv" / "bin"
        install(bin_dir / "python", wheel)
        run(bin_dir / "python", "-c", IMPORT, cwd=home)
        install(bin_dir / "python", wheel, "[cli]")
        for script in ("apflow", PACKAGE):
            run(bin_dir / script, "version", cwd=home)
    print("the wheel is complete and runs")


if __name__ == "__main__":
    main()
