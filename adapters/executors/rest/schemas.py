"""What `rest_executor` takes and gives."""

from typing import Any, Final

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

_VALUE: Final = {"type": ["string", "number", "boolean", "null"]}
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}

INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "url": {
            "type": "string", "minLength": 1, "maxLength": 8192,
            "description": "http or https; without user and password, which belong into `auth`",
        },
        "method": {"enum": [*METHODS, *(m.lower() for m in METHODS)], "default": "GET"},
        "headers": {**_TEXTS, "description": "of ASCII; sent as they are"},
        "params": {
            "type": "object",
            "description": "added to the query; an array repeats its name, null has no value",
            "additionalProperties": {"anyOf": [_VALUE, {"type": "array", "items": _VALUE}]},
        },
        "json": {"description": "sent as JSON"},
        "data": {
            "description": "an object is sent as a form, of values like those of `params`; a "
            "string as it is, but not beside `files`",
            "anyOf": [{"type": "string"}, {"type": "object"}],
        },
        "files": {
            "type": "object",
            "description": "parts of a multipart form, beside those of `data`",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "filename": {"type": "string"},
                    "content": {"type": "string", "description": "text"},
                    "content_base64": {"type": "string", "description": "bytes"},
                    "content_type": {"type": "string"},
                },
                "additionalProperties": False,
            },
        },
        "auth": {
            "type": "object",
            "description": "bearer (token), basic (username, password), apikey (key, value and "
            "location: header or query)",
            "properties": {
                "type": {"enum": ["bearer", "basic", "apikey"]},
                "token": {"type": "string"},
                "username": {"type": "string"},
                "password": {"type": "string"},
                "key": {"type": "string"},
                "value": {"type": "string"},
                "location": {"enum": ["header", "query"], "default": "header"},
            },
            "required": ["type"],
            "additionalProperties": False,
        },
        "timeout": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 3600, "default": 30,
            "description": "seconds for all of it, redirects included",
        },
        "follow_redirects": {"type": "boolean", "default": True},
        "verify": {"const": True, "description": "TLS cannot be switched off by a task"},
    },
    "required": ["url"],
}  # fmt: skip

OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean", "description": "2xx, or a status that `accept` names"},
        "status_code": {"type": "integer"},
        "url": {"type": "string", "description": "where the answer came from, without its query"},
        "method": {"type": "string"},
        "headers": {**_TEXTS, "description": "names in lower case"},
        "error": {"type": "string", "description": "why it failed, where the status does not say"},
        "body": {
            "type": "string",
            "description": "where it is text, read by its charset; not beside `json` above 1 MiB",
        },
        "body_base64": {"type": "string", "description": "where it is not"},
        "packed": {
            "type": "string",
            "description": "how `body_base64` is packed, where that is not undone: all but gzip "
            "and deflate",
        },
        "json": {"description": "the body, where it is application/json or +json"},
        "json_error": {"type": "string", "description": "why it is not there all the same"},
        "truncated": {
            "type": "boolean",
            "description": "the body was longer than 10 MiB, or its JSON than 14",
        },
    },
    "required": ["success", "status_code", "url", "method", "headers"],
}
