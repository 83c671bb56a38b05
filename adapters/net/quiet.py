"""What libraries of HTTP write into logs: of a URL the origin and no header, for all else may hold
secrets.
"""

from logging import INFO, LogRecord, getLogger


def hush(library: str, core: str) -> None:
    """``library`` tells of each request with its address, ``core`` of every header that comes."""
    getLogger(library).addFilter(_origin_only)
    getLogger(core).setLevel(INFO)


def _origin_only(record: LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            arg.copy_with(path="/", query=None, fragment=None) if hasattr(arg, "copy_with") else arg
            for arg in record.args
        )
    return True
