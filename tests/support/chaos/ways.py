"""A way to a server that comes and goes."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.proxies import Proxy


class Way(Proxy):
    """A proxy that outlives its server: who comes while there is none is turned away."""

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._target)
            except OSError:
                client.close()
                server.close()
                continue
            self._pairs.append((client, server))
            self._run(self._pass, client, server, False)
            self._run(self._pass, server, client, True)


@contextmanager
def way_to(dsn: str, folder: Path) -> Iterator[Way]:
    """A way that is open, through a socket in ``folder``."""
    made = Way(folder, dsn)
    made.up()
    try:
        yield made
    finally:
        made.down()
