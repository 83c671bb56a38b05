"""What `ssh_executor` takes and gives."""

from typing import Any, Final

MAX_COMMAND: Final = 128 * 1024
MAX_STDIN: Final = 256 * 1024
MAX_TIMEOUT: Final = 7 * 24 * 3600.0
DEFAULT_TIMEOUT: Final = 30.0

INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "host": {"type": "string", "minLength": 1, "maxLength": 253},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 22},
        "username": {"type": "string", "minLength": 1, "maxLength": 256},
        "password": {"type": "string", "description": 'only as {"$secret": "NAME"}'},
        "key": {
            "type": "string",
            "description": 'the text of a private key, only as {"$secret": "NAME"}',
        },
        "key_file": {
            "type": "string", "minLength": 1,
            "description": "the absolute path of a private key, in a folder that the operator "
            "allows",
        },
        "passphrase": {
            "type": "string",
            "description": 'of the private key, only as {"$secret": "NAME"}',
        },
        "host_key": {
            "type": "string", "maxLength": 16384,
            "description": "the public key of a host that the operator's file of known hosts does "
            "not name",
        },
        "command": {
            "type": "string", "minLength": 1, "maxLength": MAX_COMMAND,
            "description": "text for `sh` on the far side, which may have several lines",
        },
        "env": {
            "type": "object",
            "description": "variables of the command",
            "additionalProperties": {"type": "string"},
        },
        "stdin": {"type": "string", "maxLength": MAX_STDIN, "description": "what it reads"},
        "timeout": {
            "type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT,
            "default": DEFAULT_TIMEOUT,
            "description": "seconds for the command; then its process group is ended. Counts anew "
            "when the command is found again after a restart",
        },
    },
    "required": ["host", "username", "command"],
}  # fmt: skip

OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean", "description": "exit code 0, or one that `accept` names"},
        "command": {"type": "string"},
        "stdout": {"type": "string", "description": "its first MiB"},
        "stderr": {"type": "string", "description": "its first MiB"},
        "return_code": {
            "type": ["integer", "null"],
            "description": "null where the command was ended by force",
        },
        "host": {"type": "string"},
        "username": {"type": "string"},
        "stdout_truncated": {"type": "boolean"},
        "stderr_truncated": {"type": "boolean"},
        "error": {"type": "string", "description": "why it was ended by force"},
    },
    "required": ["success", "command", "stdout", "stderr", "return_code", "host", "username"],
}
