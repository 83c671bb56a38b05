"""A way to a server on TCP that can be cut, and that can lose answers."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress


class Cable:
    """Passes bytes between clients and the server at ``port``.

    ``swallow``: so many of the next answers are lost, and the connections with them. ``cuts``
    counts the connections that were cut. ``slice``: so many bytes of an answer at a time.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.swallow = 0
        self.cuts = 0
        self.slice = 1 << 16
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._run(self._accept)

    @property
    def url(self) -> str:
        """Where it is called."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Every connection that there is."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            self.cuts += 1
            _end(*pair)

    def close(self) -> None:
        """Take nobody any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _run(self, work: object, *args: object) -> None:
        threading.Thread(target=work, args=args, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                _end(client)
                continue
            with self._lock:
                self._pairs.append((client, server))
            self._run(self._pass, client, server, False)
            self._run(self._pass, server, client, True)

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(self.slice if answers else 1 << 16):
                if answers and self.swallow:
                    self.swallow -= 1
                    break
                sink.sendall(data)
        _end(source, sink)


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def cable(port: int) -> Iterator[Cable]:
    """A cable as long as the block."""
    made = Cable(port)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def saying(answers: Sequence[bytes]) -> Iterator[str]:
    """The address of a server that gives these answers, one a connection, whatever is asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        with suppress(OSError):
            for answer in answers:
                client, _ = listener.accept()
                client.recv(1 << 16)
                client.sendall(answer)
                client.close()

    threading.Thread(target=work, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
