"""A way to a PostgreSQL server that can be cut."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

PORT = 5432


class Proxy:
    """Passes bytes between clients of a socket in ``folder`` and the server, until told otherwise.

    ``deaf``: what clients send arrives, but instead of an answer they are cut off. ``trips`` counts
    how often a client spoke after the server had.
    """

    def __init__(self, folder: Path, dsn: str) -> None:
        target = conninfo_to_dict(dsn)
        with psycopg.connect(dsn) as connection:
            self._target = f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
        self._path = folder / f".s.PGSQL.{PORT}"
        self.dsn = (
            f"postgresql:///{target['dbname']}?host={folder}&port={PORT}&user={target['user']}"
        )
        self.deaf = False
        self.trips = 0
        self._answered = True
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener: socket.socket | None = None

    def up(self) -> None:
        """Take new clients."""
        self._path.unlink(missing_ok=True)
        self._listener = listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        listener.listen()
        self._run(self._accept, listener)

    def down(self) -> None:
        """Cut all off and take nobody new."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self._path.unlink(missing_ok=True)
        for pair in self._pairs:
            _close(*pair)
        self._pairs.clear()

    def _run(self, work: object, *args: object) -> None:
        threading.Thread(target=work, args=args, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            self._pairs.append((client, server))
            self._run(self._pass, client, server, False)
            self._run(self._pass, server, client, True)

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if answers and self.deaf:
                    break
                self.trips += self._answered and not answers
                self._answered = answers
                sink.sendall(data)
        _close(source, sink)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def proxy(folder: Path, dsn: str) -> Iterator[Proxy]:
    """A proxy that takes clients."""
    made = Proxy(folder, dsn)
    made.up()
    try:
        yield made
    finally:
        made.down()


@contextmanager
def refusing(message: str, code: str) -> Iterator[int]:
    """The TCP port of a server that refuses everybody in PostgreSQL's protocol."""
    listener = socket.create_server(("127.0.0.1", 0))
    fields = b"".join(
        kind + text.encode() + b"\0"
        for kind, text in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", code), (b"M", message))
    )
    answer = b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0"

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    client.recv(1024)  # may we encrypt?
                    client.sendall(b"N")
                    client.recv(1024)
                    client.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
