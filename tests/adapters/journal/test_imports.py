"""Nobody pays for a database that is not used."""

import subprocess
import sys

import pytest

MODULES = (
    "aipartnerupflow",
    "aipartnerupflow.adapters.journal.journal",
    "aipartnerupflow.adapters.journal.memory.recorder",
    "aipartnerupflow.adapters.journal.sqlite.recorder",
    "aipartnerupflow.adapters.journal.sqlite.reads",
)


@pytest.mark.parametrize("module", MODULES)
def test_psycopg_is_only_loaded_for_postgresql(module: str) -> None:
    program = f"import sys, {module}; sys.exit(any(m.startswith('psycopg') for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == 0
