"""`command_executor` and programs of this machine."""

import os
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from tests.support.executor_cases import Case, Inputs

HANG = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / f"begun-{os.getpid()}").touch()
for _ in range(6000):
    if (folder / "go").exists():
        print("went")
        break
    time.sleep(0.01)
"""
ONCE_BUSY = """
import os, pathlib, sys
try:
    (pathlib.Path(sys.argv[1]) / "was-busy").touch(exist_ok=False)
except FileExistsError:
    print(6 * 7)
else:
    raise SystemExit(os.EX_TEMPFAIL)
"""
PYTHON = sys.executable


class CommandCase(Case):
    executor = "command_executor"
    policy: ClassVar[Inputs] = {"idempotent": True}

    def settings(self) -> dict[str, Any]:
        return {"command_enabled": True, "command_allow": [[PYTHON, "-c", "..."]]}

    def works(self) -> Inputs:
        return {"command": [PYTHON, "-c", "print(6 * 7)"]}

    def shows(self, result: Any) -> None:
        assert result["stdout"] == "42\n"

    def wrong(self) -> Sequence[Inputs]:
        return [{}, {"command": 5}, {"command": []}, {"command": "ls; id"}, {"command": "$(id)"},
                {"command": [PYTHON, "-V"]}, {"command": f"{PYTHON}x -c pass"},
                {"command": "ls\nid"}]  # fmt: skip

    def fails(self) -> Inputs:
        return {"command": [PYTHON, "-c", "raise SystemExit(3)"]}

    def flaky(self) -> Inputs:
        return {"command": [PYTHON, "-c", ONCE_BUSY, str(self.folder)]}

    def hangs(self) -> Inputs:
        return {"command": [PYTHON, "-c", HANG, str(self.folder)], "timeout": 120}

    def running(self) -> int:
        return sum(_lives(int(path.name.rpartition("-")[2])) for path in self._begun())

    def begun(self) -> int:
        return len(self._begun())

    def _begun(self) -> list[Any]:
        return list(self.folder.glob("begun-*"))

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def leaks(self) -> Inputs:
        read = "import sys; print(sys.stdin.read())"
        return {"command": [PYTHON, "-c", read], "stdin": {"$secret": "CANARY"}}

    def floods(self) -> Inputs:
        return {"command": [PYTHON, "-c", "print('x' * (3 << 20))"]}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
