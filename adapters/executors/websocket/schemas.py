"""What `websocket_executor` takes and gives."""

from typing import Any, Final

MAX_RESPONSES: Final = 1_000

_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_MESSAGE: Final = {
    "type": ["string", "object", "array"],
    "description": "a string is sent as it is, an object or an array as JSON",
}
_RECEIVED: Final = {
    "text": {"type": "string", "description": "where it is text"},
    "json": {"description": "the text, where it is JSON"},
    "base64": {"type": "string", "description": "where it is binary"},
}

INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "url": {
            "type": "string", "minLength": 1, "maxLength": 8192,
            "description": "ws or wss; without user and password, which belong into `headers`",
        },
        "message": _MESSAGE,
        "messages": {
            "type": "array", "items": _MESSAGE, "minItems": 1, "maxItems": MAX_RESPONSES,
            "description": "sent one after the other, instead of `message`",
        },
        "wait_response": {
            "type": "boolean", "default": True,
            "description": "wait for one message; false: send, close, done",
        },
        "responses": {
            "type": "integer", "minimum": 1, "maximum": MAX_RESPONSES,
            "description": "wait for so many messages",
        },
        "until": {
            "type": "object",
            "description": "wait for a JSON message in which the value at `pointer` is `equals`",
            "properties": {
                "pointer": {"type": "string", "maxLength": 1024},
                "equals": {},
            },
            "required": ["pointer", "equals"],
            "additionalProperties": False,
        },
        "timeout": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 3600, "default": 30,
            "description": "seconds for all of it",
        },
        "headers": {**_TEXTS, "description": "sent with the handshake"},
        "subprotocols": {
            "type": "array", "items": {"type": "string"}, "maxItems": 16,
            "description": "those that may be spoken, the preferred one first",
        },
        "origin": {"type": "string", "description": "for servers that ask for one"},
    },
    "required": ["url"],
}  # fmt: skip

OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean"},
        "url": {"type": "string", "description": "without its query"},
        "message_sent": {
            "description": "`message`, or `messages`; left out where it held a secret",
        },
        "wait_response": {"type": "boolean"},
        "response": {"type": "string", "description": "the text of the last message"},
        "json": {"description": "the last message, where it is JSON"},
        "response_base64": {"type": "string", "description": "the last message, if binary"},
        "responses": {
            "type": "array", "items": {"type": "object", "properties": _RECEIVED},
            "description": "with `responses` or `until`: what came, the oldest first",
        },
        "truncated": {
            "type": "boolean",
            "description": "more came than is kept: the newest 1,000 messages, 4 MiB of them",
        },
        "subprotocol": {"type": "string", "description": "the one that was spoken"},
        "close_code": {"type": "integer", "description": "RFC 6455, section 7.4"},
        "close_reason": {"type": "string"},
        "error": {"type": "string", "description": "why it failed"},
        "code": {"type": "integer", "description": "the close code, where it failed by one"},
        "reason": {"type": "string", "description": "what the server said beside it"},
        "status_code": {"type": "integer", "description": "the answer to a refused handshake"},
    },
    "required": ["success", "url", "wait_response"],
}  # fmt: skip
