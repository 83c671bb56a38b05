"""What a task wants of a gRPC server, put together from its inputs."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

from ....domain.errors import InvalidInput, TargetRefused
from ..base import Inputs
from ..context import Context
from ..secrets import require_for
from .channels import Target
from .schemas import MAX_MESSAGES

DEFAULT_TIMEOUT: Final = 30.0
MAX_TIMEOUT: Final = 3600.0
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]@]+):([0-9]{1,5})")
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_SYMBOL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_KEY: Final = re.compile(r"[0-9a-z_.-]{1,256}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,8192}")
RESERVED: Final = frozenset({"host", "te", "content-type", "user-agent", "connection"})


class Wish:
    """Raises `InvalidInput`, and `TargetRefused` for what is no server."""

    def __init__(self, inputs: Inputs, usual: Mapping[str, Any], context: Context) -> None:
        if inputs.get("proto_file") is not None:
            raise InvalidInput(
                "proto_file is not read here: give `descriptor_set`, the base64 of what `protoc "
                "--include_imports --descriptor_set_out=FILE` writes, or neither where the server "
                "has reflection"
            )
        self.server = str(inputs.get("server", ""))
        self.target = _target(self.server, inputs)
        require_for(self.target.host, [inputs, usual], self.target.port)
        if self.target.name is not None:
            require_for(self.target.name, [inputs, usual], self.target.port)
        self.service = _symbol(inputs, "service", dotted=True)
        self.method = _symbol(inputs, "method", dotted=False)
        given = inputs.get("request")
        self.request = {} if given is None else _plain(given)
        if not isinstance(self.request, dict):
            raise InvalidInput("request is an object")
        self.seconds = _timeout(inputs)
        self.metadata = _metadata({**usual, **(inputs.get("metadata") or {})}, context)
        self.most = _most(inputs)
        self.descriptor_set: str | None = inputs.get("descriptor_set")


def _target(server: str, inputs: Inputs) -> Target:
    match = _SERVER.fullmatch(server)
    if match is None:
        raise TargetRefused("its server is not host:port")
    tls, name = inputs.get("tls", True), inputs.get("server_name")
    if not isinstance(tls, bool):
        raise InvalidInput("tls is true or false")
    if name is not None and not (isinstance(name, str) and _HOST.fullmatch(name)):
        raise InvalidInput("server_name is a name, as it stands in the server's certificate")
    return Target(match[1].strip("[]"), int(match[2]), tls, None if name is None else str(name))


def _symbol(inputs: Inputs, name: str, *, dotted: bool) -> str:
    value = inputs.get(name)
    if not isinstance(value, str) or not _SYMBOL.fullmatch(value) or ("." in value and not dotted):
        example = "helloworld.Greeter" if dotted else "SayHello"
        raise InvalidInput(f"{name} is a name such as {example}")
    return str(value)


def _plain(value: Any) -> Any:
    """A copy of plain texts: secrets are texts of a kind of their own."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _metadata(given: Mapping[str, Any], context: Context) -> tuple[tuple[str, str | bytes], ...]:
    found: dict[str, str | bytes] = {"idempotency-key": context.idempotency_key}
    for name, value in given.items():
        key = str(name).lower()
        if not _KEY.fullmatch(key) or key in RESERVED or key.startswith("grpc-"):
            raise InvalidInput("metadata has a name that gRPC cannot carry, or keeps for itself")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidInput("metadata has a value that gRPC cannot carry")
        found[key] = _binary(value) if key.endswith("-bin") else str(value)
    return tuple(found.items())


def _binary(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise InvalidInput("values of metadata whose names end in -bin are base64") from error


def _most(inputs: Inputs) -> int | None:
    value = inputs.get("max_messages")
    if value is not None and not (type(value) is int and 1 <= value <= MAX_MESSAGES):
        raise InvalidInput(f"max_messages is a number from 1 to {MAX_MESSAGES}")
    return value


def _timeout(inputs: Inputs) -> float:
    value = inputs.get("timeout", DEFAULT_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("timeout is a number of seconds")
    if not 0 < value <= MAX_TIMEOUT:
        raise InvalidInput(f"timeout is a number of seconds above 0, at most {MAX_TIMEOUT:g}")
    return float(value)
