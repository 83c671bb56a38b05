"""Forms with files, as HTTP carries them."""

import base64
from collections.abc import Mapping

import httpx


def multipart(
    fields: Mapping[str, object], files: Mapping[str, Mapping[str, str]]
) -> tuple[str, bytes]:
    """The content type and the bytes of a multipart form (RFC 7578).

    A file has ``content`` or ``content_base64``, and may have ``filename`` and ``content_type``.
    Raises ValueError for what is not base64.
    """
    parts = {}
    for name, file in files.items():
        if "content_base64" in file:
            data = base64.b64decode(file["content_base64"], validate=True)
        else:
            data = file.get("content", "").encode()
        kind = file.get("content_type", "application/octet-stream")
        parts[name] = (file.get("filename", name), data, kind)
    written = {name: str(value) for name, value in fields.items()}
    request = httpx.Request("POST", "http://nowhere.invalid", data=written, files=parts)
    return request.headers["content-type"], request.read()
