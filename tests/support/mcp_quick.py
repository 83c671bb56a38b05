"""An MCP server without any library, which starts at once: ``mcp_quick.py FOLDER``.

Its only tool, `hang`, waits for ``go`` in the folder, where it says ``begun-…``.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])


def answer(asked: Any) -> Any:
    if asked["method"] == "initialize":
        version = asked["params"]["protocolVersion"]
        named = {"name": "quick", "version": "1"}
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": named}
    (FOLDER / f"begun-{os.getpid()}-0").touch()
    for _ in range(6_000):
        if (FOLDER / "go").exists():
            break
        time.sleep(0.01)
    return {"content": [{"type": "text", "text": "went"}]}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        said = {"jsonrpc": "2.0", "id": message["id"], "result": answer(message)}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
