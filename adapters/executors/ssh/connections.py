"""SSH connections that tasks share: through the guard, to hosts whose keys are known."""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import ClassVar, Final

import asyncssh
from msgspec import Struct

from ....domain.errors import ApflowError, InvalidInput, TargetRefused
from ...net.guard import Guard, Pinned
from ..errors import TransientError
from .known import Trusted, trusted

CONNECT: Final = 15.0
"""Seconds until a host has taken the login."""
IDLE: Final = 30.0
"""Seconds for which a connection without work is kept."""
MOST: Final = 4
"""Commands over one connection: each has two channels at times, and OpenSSH allows ten."""
KEEPALIVE: Final = 15.0
_SALT: Final = os.urandom(16)


class Unreachable(TransientError):
    """The host is away, or broke the connection off. It may do later."""


class LoginRefused(ApflowError):
    """The host does not take the user with this key or password."""


class HostKeyRefused(ApflowError):
    """The host shows another key than the one that is known."""

    transient: ClassVar[bool] = False


REFUSALS: Final = (LoginRefused, HostKeyRefused, TargetRefused)
"""What a host, or its name, may answer for a moment only: said of work that is there, or not."""


class Login(Struct, frozen=True):
    """Who logs in where. ``known_hosts`` is the text of the operator's file; ``host_key``, a line
    such as ``ssh-ed25519 AAAA…``, counts for a host that is not in it, see `trusted`.
    """

    host: str
    port: int
    username: str
    known_hosts: str
    host_key: str | None = None
    password: str | None = None
    key: str | None = None
    passphrase: str | None = None

    @property
    def same(self) -> str:
        """Equal for logins that may share a connection; tells nothing of what is in it."""
        values = [getattr(self, name) for name in self.__struct_fields__]
        # A secret's own representation is its name only.
        plain = [None if value is None else str(value) for value in values]
        return hashlib.sha256(_SALT + repr(plain).encode()).hexdigest()

    def client_keys(self) -> list[asyncssh.SSHKey]:
        """Raises `InvalidInput` for one that cannot be read."""
        if self.key is None:
            return []
        try:
            return [asyncssh.import_private_key(str(self.key), self.passphrase)]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            raise InvalidInput(
                "the private key cannot be read: it is no key, or its passphrase is missing or "
                "wrong"
            ) from None


async def connect(login: Login, guard: Guard) -> asyncssh.SSHClientConnection:
    """A connection that has logged in. Nothing of this machine's user is used: no settings, no
    agent, no keys. Raises `TargetRefused`, `InvalidInput`, and the errors of this module.
    """
    keys = login.client_keys()
    try:
        async with asyncio.timeout(CONNECT):
            pinned = await guard.pin(login.host, login.port)
            known = trusted(login.known_hosts, pinned, login.host_key)
            connected = await _first(pinned.addresses, login.port)
            return await _log_in(login, pinned, connected, known, keys)
    except TimeoutError as error:
        raise Unreachable(f"the host took no login within {CONNECT:g} s") from error
    except asyncssh.PermissionDenied as error:
        raise LoginRefused("the host does not take this user with this key or password") from error
    except asyncssh.HostKeyNotVerifiable as error:
        raise HostKeyRefused(
            "the host shows a key that is not the one that is known for it: it was set up anew, or "
            "somebody is in between. Nothing was sent."
        ) from error
    except (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported) as error:
        raise LoginRefused("the host and this program share no way to encrypt") from error
    except (OSError, asyncssh.Error) as error:
        raise Unreachable("no connection to the host, or it broke off") from error


async def _first(addresses: tuple[str, ...], port: int) -> socket.socket:
    """A connection to the first address that answers. Raises OSError."""
    *others, last = addresses
    for address in others:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT / len(addresses)):
                return await _dial(address, port)
    return await _dial(last, port)


async def _dial(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    return made


async def _log_in(
    login: Login, pinned: Pinned, connected: socket.socket, known: Trusted,
    keys: list[asyncssh.SSHKey],
) -> asyncssh.SSHClientConnection:  # fmt: skip
    try:
        # An empty list of keys would stand for those of this machine's user, None for none.
        return await asyncssh.connect(
            pinned.host, pinned.port, sock=connected, config=None, known_hosts=known,
            username=login.username, client_keys=keys or None, client_certs=[],
            password=None if login.password is None else str(login.password),
            agent_path=None, agent_forwarding=False, gss_host=None, x509_trusted_certs=None,
            keepalive_interval=KEEPALIVE, login_timeout=CONNECT,
        )  # fmt: skip
    except BaseException:
        connected.close()
        raise


class _Line:
    """One connection and how many commands use it."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self.connection = connection
        self.users = 0
        self.idle: asyncio.TimerHandle | None = None

    def take(self) -> None:
        self.users += 1
        if self.idle is not None:
            self.idle.cancel()
            self.idle = None

    def leave(self) -> None:
        self.users -= 1
        if not self.users:
            self.idle = asyncio.get_running_loop().call_later(IDLE, self.connection.close)

    async def close(self) -> None:
        if self.idle is not None:
            self.idle.cancel()
        self.connection.abort()
        await self.connection.wait_closed()


class _Host:
    """The connections of one login."""

    def __init__(self) -> None:
        self.lines: list[_Line] = []
        self._lock = asyncio.Lock()

    async def line(self, make: Callable[[], Awaitable[asyncssh.SSHClientConnection]]) -> _Line:
        async with self._lock:
            self.lines = [line for line in self.lines if not line.connection.is_closed()]
            for line in self.lines:
                if line.users < MOST:
                    break
            else:
                line = _Line(await make())
                self.lines.append(line)
            line.take()
            return line


class Connections:
    """All of one engine. Belongs to one loop."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def use(self, login: Login, guard: Guard) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """A connection for one command. Raises as `connect` does."""
        host = self._hosts.setdefault(login.same, _Host())
        line = await host.line(lambda: connect(login, guard))
        try:
            yield line.connection
        finally:
            line.leave()

    async def close(self) -> None:
        """End them all."""
        hosts, self._hosts = self._hosts, {}
        for host in hosts.values():
            for line in host.lines:
                await line.close()
