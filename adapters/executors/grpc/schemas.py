"""What `grpc_executor` takes and gives."""

from typing import Any, Final

MAX_MESSAGES: Final = 1_000

_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}

INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "server": {
            "type": "string", "minLength": 1, "maxLength": 512,
            "description": "host:port, such as api.example.com:443 or [2001:db8::1]:443",
        },
        "service": {
            "type": "string", "minLength": 1, "maxLength": 512,
            "description": "its full name, such as helloworld.Greeter",
        },
        "method": {"type": "string", "minLength": 1, "maxLength": 256},
        "request": {
            "type": "object", "default": {},
            "description": "the message as ProtoJSON: int64 may be a string, bytes are base64",
        },
        "metadata": {
            **_TEXTS, "description": "names in lower case; values of names in -bin are base64",
        },
        "timeout": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 3600, "default": 30,
            "description": "seconds for all of it; the server is told the deadline",
        },
        "tls": {
            "type": "boolean", "default": True,
            "description": "false only for private targets that the operator allows. Whom to trust "
            "the library knows; GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names others",
        },
        "server_name": {
            "type": "string", "maxLength": 253,
            "description": "the name in the server's certificate, where it is not that of `server`",
        },
        "descriptor_set": {
            "type": "string",
            "description": "base64 of a FileDescriptorSet, for servers without reflection: `protoc "
            "--include_imports --descriptor_set_out=FILE`",
        },
        "max_messages": {
            "type": "integer", "minimum": 1, "maximum": MAX_MESSAGES,
            "description": "end a stream after so many messages",
        },
        "proto_file": {"description": "refused: give `descriptor_set`"},
    },
    "required": ["server", "service", "method"],
}  # fmt: skip

OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean", "description": "OK, or a status that `accept` names"},
        "server": {"type": "string"},
        "service": {"type": "string"},
        "method": {"type": "string"},
        "request": {"type": "object", "description": "left out where it held a secret"},
        "response": {
            "type": ["object", "array", "string", "number", "boolean", "null"],
            "description": "ProtoJSON with the names of the .proto file, fields that are not set "
            "included where they take no more than 2 MiB; of a stream a list of messages",
        },
        "metadata": {
            **_TEXTS, "description": "what the server sent before and after; binary as base64",
        },
        "truncated": {
            "type": "boolean",
            "description": "the stream was ended after 1,000 messages, 4 MiB of them, or 32 MiB "
            "of JSON",
        },
        "error": {"type": "string", "description": "the status and what the server said of it"},
        "code": {"type": "string", "description": "the status, such as NOT_FOUND"},
        "status_code": {"type": "integer", "description": "its number, for `accept`"},
    },
    "required": ["success", "server", "service", "method", "metadata"],
}  # fmt: skip
