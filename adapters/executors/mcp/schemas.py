"""What `mcp_executor` takes and gives."""

from typing import Any, Final

OPERATIONS: Final = (
    "list_tools", "call_tool", "list_resources", "read_resource", "list_prompts", "get_prompt",
)  # fmt: skip
TRANSPORTS: Final = ("stdio", "http")
DEFAULT_TIMEOUT: Final = 30.0
MAX_TIMEOUT: Final = 86_400.0

INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "transport": {
            "enum": list(TRANSPORTS),
            "description": "stdio: a server that the operator names; http: streamable HTTP",
        },
        "server": {
            "type": "string", "minLength": 1, "maxLength": 128,
            "description": "for stdio: which of [mcp_servers.NAME] in the operator's settings",
        },
        "url": {
            "type": "string", "minLength": 1, "maxLength": 8192,
            "description": "for http, which takes the extra `mcp`: the endpoint, such as https://tools.example.com/mcp",
        },
        "headers": {
            "type": "object", "additionalProperties": {"type": "string"},
            "description": "for http: sent with every request",
        },
        "operation": {"enum": list(OPERATIONS)},
        "tool_name": {"type": "string", "minLength": 1, "description": "for call_tool"},
        "prompt_name": {"type": "string", "minLength": 1, "description": "for get_prompt"},
        "arguments": {"type": "object", "description": "of the tool or the prompt"},
        "resource_uri": {"type": "string", "minLength": 1, "description": "for read_resource"},
        "timeout": {
            "type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT,
            "default": DEFAULT_TIMEOUT,
            "description": "seconds for all of it, the start of a server included",
        },
    },
    "required": ["transport", "operation"],
}  # fmt: skip

OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean", "description": "false where the server or its tool refused"},
        "operation": {"enum": list(OPERATIONS)},
        "transport": {"enum": list(TRANSPORTS)},
        "result": {
            "type": "object",
            "description": "as the protocol has it: tools, resources or prompts of a list; "
            "content, structuredContent and isError of a tool; contents of a resource; "
            "messages of a prompt",
        },
        "truncated": {"type": "boolean", "description": "the list was longer than is read"},
        "error": {"type": "string"},
        "error_code": {"type": "integer", "description": "of JSON-RPC, where the server refused"},
    },
    "required": ["success", "operation", "transport"],
}
