"""What `docker_executor` takes and gives."""

from typing import Any, Final

DEFAULT_TIMEOUT: Final = 60.0
MAX_TIMEOUT: Final = 7 * 24 * 3600.0
MISSING: Final = "missing"
PULL: Final = ("never", MISSING, "always")

INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "image": {
            "type": "string", "minLength": 1, "maxLength": 512,
            "description": "a name with its tag or digest; the operator may limit which",
        },
        "command": {
            "description": "program and arguments; a string is split at its spaces. Left out: what "
            "the image starts",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        },
        "env": {
            "type": "object",
            "description": "variables",
            "additionalProperties": {"type": "string"},
        },
        "volumes": {
            "type": "object",
            "description": "folders or files of the engine's machine, in folders that the operator "
            "allows, and where the container sees them: read-only, unless `:rw` stands at the end",
            "additionalProperties": {"type": "string", "pattern": "^/.+"},
        },
        "working_dir": {"type": "string", "pattern": "^/"},
        "network": {
            "type": "string", "default": "none",
            "description": "one that the operator allows",
        },
        "resources": {
            "type": "object",
            "properties": {
                "cpu": {
                    "type": ["number", "string"],
                    "description": "processors, such as 0.5",
                },
                "memory": {
                    "type": ["integer", "string"],
                    "description": "bytes, or a text such as 512m",
                },
            },
            "additionalProperties": False,
        },
        "pull": {
            "enum": list(PULL), "default": MISSING,
            "description": "when the image is fetched",
        },
        "timeout": {
            "type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT,
            "default": DEFAULT_TIMEOUT,
            "description": "seconds from the start of the container; then it is killed. Counts "
            "anew when the container is found again after a restart",
        },
        "remove": {
            "type": "boolean", "default": True,
            "description": "false keeps the container when it has ended",
        },
        "privileged": {"const": False, "description": "there is no way to be"},
    },
    "required": ["image"],
}  # fmt: skip

OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean", "description": "exit code 0, or one that `accept` names"},
        "container_id": {"type": "string"},
        "logs": {"type": "string", "description": "the first MiB of what it wrote to both streams"},
        "exit_code": {
            "type": ["integer", "null"],
            "description": "null where the container was ended by force",
        },
        "image": {"type": "string"},
        "command": {},
        "logs_truncated": {"type": "boolean"},
        "error": {"type": "string", "description": "why it was ended by force"},
    },
    "required": ["success", "container_id", "logs", "exit_code", "image", "command"],
}
