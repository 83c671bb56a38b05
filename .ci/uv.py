"""Run uv against the package index that pip is configured for.

    python .ci/uv.py pip install --python .venv/bin/python -e .

pip reads its index from the environment and from configuration files, uv only from
the environment. What pip knows is handed to uv in the environment of this one call and
written nowhere. Where uv is missing or fails, `pip install` is done by pip itself.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

# pip's name of a setting, uv's, and what separates the values of uv's.
SETTINGS = (
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("cert", "SSL_CERT_FILE", " "),
)
# Options that pip has no counterpart of: no falling back with these.
UV_ONLY = {"--resolution"}


def pip_settings(listing: str) -> dict[str, str]:
    """Settings by name from the lines of `pip config list`; later levels win, as in pip."""
    found: dict[str, str] = {}
    for level in ("global.", "install.", ":env:."):
        for line in listing.splitlines():
            name, separator, value = line.partition("=")
            if separator and name.startswith(level):
                found[name.removeprefix(level)] = str(ast.literal_eval(value))
    return found


def uv_environment(pip: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv. What the caller set for uv itself stays."""
    wanted = {
        theirs: separator.join(pip[ours].split())
        for ours, theirs, separator in SETTINGS
        if pip.get(ours, "").strip()
    }
    if "UV_INDEX" in wanted:
        # pip takes the best version over all indexes, uv by default the first index that has any.
        wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {**wanted, **env}


def pip_command(arguments: list[str]) -> list[str] | None:
    """The same installation by pip, or None where pip has no such thing."""
    if arguments[:2] != ["pip", "install"] or UV_ONLY & set(arguments):
        return None
    rest = arguments[2:]
    python = sys.executable
    if "--python" in rest:
        at = rest.index("--python")
        python = rest[at + 1]
        del rest[at : at + 2]
    return [python, "-m", "pip", "install", *rest]


def main(arguments: list[str]) -> int:
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    env = uv_environment(pip_settings(listing), os.environ)
    code = subprocess.run([sys.executable, "-m", "uv", *arguments], env=env, check=False).returncode
    fallback = pip_command(arguments)
    if code == 0 or fallback is None:
        return code
    print("uv failed; trying pip", file=sys.stderr)
    return subprocess.run(fallback, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
