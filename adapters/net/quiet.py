"""What libraries of HTTP write into logs: no query, and no header, for these may hold secrets."""

from logging import INFO, LogRecord, getLogger


def hush(library: str, core: str) -> None:
    """``library`` tells of each request with its address, ``core`` of every header that comes."""
    getLogger(library).addFilter(_without_query)
    getLogger(core).setLevel(INFO)


def _without_query(record: LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            arg.copy_with(query=None, fragment=None) if hasattr(arg, "copy_with") else arg
            for arg in record.args
        )
    return True
