"""Where the script `apflow` begins. Works without the extra [cli], if only to say so."""

import importlib
import sys
from collections.abc import Sequence

NEEDED = ("typer", "rich")


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: Sequence[str]) -> int:
    """The exit code of one command."""
    try:
        code: int = importlib.import_module(".app", __package__).run(args)
    except ModuleNotFoundError as error:
        absent = (error.name or "").partition(".")[0]
        if absent not in NEEDED:
            raise
        sys.stderr.write(
            f"apflow: the command line needs {absent}, which is not installed. "
            "Install it with: pip install 'aipartnerupflow[cli]'\n"
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return code
