"""Fields as queries and forms carry them, and forms with files."""

import base64
from collections.abc import Mapping
from typing import Any

import httpx

from ...domain.errors import InvalidInput


def pairs(fields: Any, where: str) -> list[tuple[str, str]]:
    """Names and texts: of an array one each, ``true`` and ``false`` as JSON has them, nothing for
    null. Raises `InvalidInput` for anything else, which names the field of ``where``.
    """
    if not isinstance(fields, Mapping):
        raise InvalidInput(f"{where} is an object of names and values")
    found = []
    for name, value in fields.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None and not isinstance(each, str | int | float):
                raise InvalidInput(
                    f"{where}.{name} is no text, number, boolean, null or array of these, which "
                    "is all that a query or form carries: send what is nested in `json`"
                )
            found.append((str(name), _text(each)))
    return found


def multipart(fields: Any, files: Any) -> tuple[str, bytes]:
    """The content type and the bytes of a multipart form (RFC 7578).

    A file has ``content`` or ``content_base64``, and may have ``filename`` and ``content_type``.
    Raises `InvalidInput`.
    """
    if not isinstance(files, Mapping):
        raise InvalidInput("files is an object of names and files")
    parts = {str(name): _part(str(name), file) for name, file in files.items()}
    written: dict[str, list[str]] = {}
    for name, text in pairs(fields, "data"):
        written.setdefault(name, []).append(text)
    request = httpx.Request("POST", "http://nowhere.invalid", data=written, files=parts)
    return request.headers["content-type"], request.read()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _part(name: str, file: Any) -> tuple[str, bytes, str]:
    if not isinstance(file, Mapping) or not all(isinstance(v, str) for v in file.values()):
        raise InvalidInput(f"files.{name} is an object of texts: content or content_base64, …")
    data = file.get("content", "").encode()
    if "content_base64" in file:
        try:
            data = base64.b64decode(file["content_base64"], validate=True)
        except ValueError:
            raise InvalidInput(f"files.{name}.content_base64 is not base64") from None
    return file.get("filename", name), data, file.get("content_type", "application/octet-stream")
