"""What containers may be: off until the operator switches them on, and then shut in.

Settings: ``APFLOW_DOCKER_ENABLED``; ``…_SOCKET``, where the engine listens; ``…_ROOTS``, folders
that containers may see, with ``:rw`` at the end change as well; ``…_NETWORKS`` that they may join,
none at first; ``…_IMAGES``, patterns such as ``registry.example.com/*``, any image without one.

A folder below one that containers may change could be replaced by a link to anywhere between the
look at it and the start of a container. So of a folder that may change only the whole is shown.
"""

import os
import stat
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from ....domain.errors import ExecutorDisabled, InvalidInput
from ...net.guard import Guard
from .images import allows, split

PREFIX: Final = "APFLOW_DOCKER_"
SOCKET: Final = "/var/run/docker.sock"
NONE: Final = "none"
WRITABLE: Final = ":rw"
READABLE: Final = ":ro"
_SHARED: Final = ("host", "container:")
"""Networks that are somebody else's."""


class Mount(Struct, frozen=True):
    """``source`` is a path without links, ``inode`` tells what it led to."""

    source: str
    target: str
    writable: bool
    inode: tuple[int, int]


class DockerPolicy(Struct, frozen=True):
    """Raises `ExecutorDisabled` for what is not allowed."""

    enabled: bool = False
    socket: str = SOCKET
    roots: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    guard: Guard = Guard()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "DockerPolicy":
        """Read the settings. Raises `InvalidInput`."""
        roots = tuple(settings.get(f"{PREFIX}ROOTS", ()))
        if not all(map(os.path.isabs, roots)):
            raise InvalidInput(f"{PREFIX}ROOTS holds absolute paths")
        return cls(
            enabled=bool(settings.get(f"{PREFIX}ENABLED", False)),
            socket=str(settings.get(f"{PREFIX}SOCKET", SOCKET)),
            roots=roots,
            networks=tuple(settings.get(f"{PREFIX}NETWORKS", ())),
            images=tuple(settings.get(f"{PREFIX}IMAGES", ())),
            guard=Guard(settings.get("APFLOW_PRIVATE_TARGETS", ())),
        )

    @property
    def advice(self) -> str:
        """How to have containers run."""
        return (
            f"{PREFIX}ENABLED=true; {PREFIX}ROOTS, {PREFIX}NETWORKS and {PREFIX}IMAGES say what "
            "containers may have"
        )

    def require_image(self, image: str) -> None:
        """For the switch, and the list of images."""
        if not self.enabled:
            raise ExecutorDisabled(
                f"containers are switched off. The operator sets {PREFIX}ENABLED=true."
            )
        if self.images and not any(allows(pattern, image) for pattern in self.images):
            raise ExecutorDisabled(
                f"the image is none of those that are allowed. The operator lists them in "
                f"{PREFIX}IMAGES."
            )

    def require_network(self, network: str) -> str:
        """The network that a container joins."""
        if network == NONE:
            return network
        if network not in self.networks or network.startswith(_SHARED):
            raise ExecutorDisabled(
                "the network is none of those that are allowed. The operator lists them in "
                f"{PREFIX}NETWORKS; the host's own is never given away."
            )
        return network

    def mounts(self, volumes: Mapping[str, str]) -> list[Mount]:
        """What a container sees of this machine. Blocking."""
        return [self._mount(source, target) for source, target in volumes.items()]

    def _mount(self, source: str, target: str) -> Mount:
        writable = target.endswith(WRITABLE)
        target = target.removesuffix(WRITABLE).removesuffix(READABLE)
        if not os.path.isabs(target) or os.path.normpath(target) == "/" or ":" in target:
            raise InvalidInput("a volume's place in the container is an absolute path below /")
        real = os.path.realpath(source)
        roots = [root for root in self.roots if _within(real, root.removesuffix(WRITABLE))]
        if not os.path.isabs(source) or not roots:
            raise ExecutorDisabled(
                "a volume is in none of the folders that are allowed. The operator lists them in "
                f"{PREFIX}ROOTS; name it with its absolute path."
            )
        if writable and not any(root.endswith(WRITABLE) for root in roots):
            raise ExecutorDisabled(
                "a volume may be seen but not changed. The operator lists folders that may be, "
                f"with {WRITABLE} at the end, in {PREFIX}ROOTS."
            )
        if any(_below(real, root) for root in self.roots if root.endswith(WRITABLE)):
            raise ExecutorDisabled(
                "a volume lies below a folder that containers may change, and could be replaced "
                "by them. Name that folder itself, or have the operator list one outside of it in "
                f"{PREFIX}ROOTS."
            )
        found = _looked_at(real)
        if _within(self.socket, real) or stat.S_ISSOCK(found.st_mode):
            raise ExecutorDisabled("a volume holds a socket, which would open the machine")
        return Mount(real, target, writable, (found.st_dev, found.st_ino))

    def require_same(self, mounts: list[Mount], volumes: Mapping[str, str]) -> None:
        """That the volumes lead to what they led to when they were judged. Blocking."""
        if self.mounts(volumes) != mounts:
            raise ExecutorDisabled(
                "a volume was replaced after it had been judged: nothing was started"
            )

    async def judge_registry(self, image: str) -> None:
        """Where the image would be fetched from. Raises `TargetRefused`.

        The engine resolves the name by itself, later: for a name that answers differently then,
        list the images that may be used.
        """
        registry, _ = split(image)
        if registry:
            host, _, port = (
                registry.partition(":") if registry.count(":") < 2 else (registry, "", "")
            )
            await self.guard.pin(host, int(port) if port.isdigit() else 443)


def _within(path: str, folder: str) -> bool:
    real, root = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, root]) == root


def _below(path: str, root: str) -> bool:
    folder = root.removesuffix(WRITABLE)
    return _within(path, folder) and os.path.realpath(path) != os.path.realpath(folder)


def _looked_at(path: str) -> os.stat_result:
    try:
        return os.stat(path, follow_symlinks=False)
    except OSError:
        raise InvalidInput("a volume does not exist, or may not be looked at") from None
