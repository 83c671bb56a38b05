"""Commands on other machines, by SSH."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from msgspec import Struct

from ....domain.errors import ExecutorDisabled, InvalidInput
from ...net.guard import Guard
from ..base import BaseTask, Inputs
from ..configured import with_attributes
from ..secrets import SecretText, require_for
from ..telling import Telling
from . import scripts
from .connections import REFUSALS, Connections, Login, Unreachable
from .job import Ended, Job
from .schemas import DEFAULT_TIMEOUT, INPUTS, MAX_TIMEOUT, OUTPUTS

KNOWN_HOSTS: Final = "APFLOW_SSH_KNOWN_HOSTS"
KEY_ROOTS: Final = "APFLOW_SSH_KEY_ROOTS"
MAX_FILE: Final = 1024 * 1024
SECRET: Final = ("password", "key", "passphrase")
_USER: Final = re.compile(r"[^\x00-\x20\x7f]{1,256}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9-]")


class SshPolicy(Struct, frozen=True):
    """What the operator allows: hosts by the guard, their keys by a file, keys by folders."""

    guard: Guard = Guard()
    known_hosts: str | None = None
    key_roots: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "SshPolicy":
        """Reads no file yet."""
        known_hosts = settings.get(KNOWN_HOSTS)
        return cls(
            guard=Guard(settings.get("APFLOW_PRIVATE_TARGETS", ())),
            known_hosts=None if not known_hosts else str(Path(known_hosts).expanduser()),
            key_roots=tuple(settings.get(KEY_ROOTS, ())),
        )

    def known(self) -> str:
        """The text of the file of known hosts, empty without one. Blocking."""
        if self.known_hosts is None:
            return ""
        return _read(self.known_hosts, "the file of known hosts that the operator named")

    def key_of(self, path: str) -> str:
        """The text of a private key in one of the roots. Blocking. Raises `ExecutorDisabled`."""
        real = os.path.realpath(path)
        roots = [os.path.realpath(os.path.expanduser(root)) for root in self.key_roots]
        if not os.path.isabs(path) or not any(
            os.path.commonpath([real, root]) == root for root in roots
        ):
            raise ExecutorDisabled(
                "key_file is in none of the folders that are allowed. The operator lists them in "
                f"{KEY_ROOTS}; name the file with its absolute path."
            )
        return _read(real, "key_file")


class SshExecutor(BaseTask):
    """Runs one command on another machine.

    It lives on there when the connection or the engine is lost, and is found again; it is ended,
    with its whole process group, by a timeout or a cancel.
    """

    id = "ssh_executor"
    name = "SSH"
    description = "Runs a command on another machine over SSH and returns what it printed"
    tags = ("ssh",)
    cancelable = True
    by_name: ClassVar[bool] = False
    examples = (
        {
            "host": "build.example.com", "username": "ci", "key": {"$secret": "CI_KEY"},
            "command": "make -C /srv/app test", "timeout": 900,
        },
        {
            "host": "db.example.com", "username": "ops", "password": {"$secret": "OPS_PASSWORD"},
            "command": "sort | uniq -c", "stdin": "b\na\n",
        },
    )  # fmt: skip
    inputs_schema = INPUTS
    outputs_schema = OUTPUTS

    policy = SshPolicy()

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Callable[..., "SshExecutor"]:
        """A factory whose executors reach what the operator allows."""
        policy = SshPolicy.from_settings(settings)
        return with_attributes(cls, policy=policy)

    @classmethod
    def safe_to_repeat(cls, inputs: Inputs) -> bool:
        """A command may do something twice."""
        return False

    def get_demo_result(self, task: Any, inputs: Inputs) -> dict[str, Any]:
        """As of a command that printed a line."""
        return {
            "success": True, "command": str(inputs.get("command", "")), "stdout": "demo\n",
            "stderr": "", "return_code": 0, "host": str(inputs.get("host", "")),
            "username": str(inputs.get("username", "")),
        }  # fmt: skip

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """``{success, command, stdout, stderr, return_code, host, username}``; see `OUTPUTS`."""
        script = self._script(inputs)
        telling = Telling(self.context)
        job = self._job(await self._login(inputs), telling)
        return await self._result(inputs, job, telling, lambda: job.run(script))

    async def reattach(self, inputs: Inputs) -> Callable[[], Awaitable[dict[str, Any]]] | None:
        """The command of this attempt, running or ended.

        While its host cannot be reached, or lets nobody in, it may well run: then it is looked for
        until the timeout.
        """
        telling = Telling(self.context)
        job = self._job(await self._login(inputs), telling)
        try:
            if not await job.find():
                return None
        except (Unreachable, *REFUSALS):
            self.context.log.warning("the host does not tell; its command may still run")
        return lambda: self._result(inputs, job, telling, job.follow)

    def _job(self, login: Login, telling: Telling) -> Job:
        """Named after the tree's uid, the task and its generation, which the key stands for."""
        context = self.context
        connections = context.shared.get("ssh", Connections)
        name = _UNSAFE.sub("_", context.idempotency_key) or "detached"
        return Job(
            lambda: connections.use(login, self.policy.guard), f"{name}-{context.attempt}",
            telling.hear,
        )  # fmt: skip

    async def _login(self, inputs: Inputs) -> Login:
        for name in SECRET:
            if inputs.get(name) is not None and not isinstance(inputs[name], SecretText):
                raise InvalidInput(
                    f'{name} is given in clear, which events would keep: write {{"$secret": '
                    '"NAME"}, and have the operator list that secret'
                )
        given = [name for name in ("password", "key", "key_file") if inputs.get(name) is not None]
        if len(given) != 1:
            raise InvalidInput("give one of `password`, `key` and `key_file` to log in with")
        host, username = str(inputs["host"]), str(inputs["username"])
        if not _USER.fullmatch(username):
            raise InvalidInput("username holds a character that no user's name has")
        port = int(inputs.get("port", 22))
        require_for(host, [inputs], port)
        key = inputs.get("key")
        if "key_file" in given:
            key = await asyncio.to_thread(self.policy.key_of, str(inputs["key_file"]))
        return Login(
            host=host, port=port, username=username,
            known_hosts=await asyncio.to_thread(self.policy.known),
            host_key=inputs.get("host_key"), password=inputs.get("password"), key=key,
            passphrase=inputs.get("passphrase"),
        )  # fmt: skip

    def _script(self, inputs: Inputs) -> bytes:
        command, stdin = str(inputs["command"]), str(inputs.get("stdin") or "")
        variables = {str(k): str(v) for k, v in (inputs.get("env") or {}).items()}
        if any("\0" in text for text in (command, stdin, *variables.values())):
            raise InvalidInput("command, env or stdin holds a zero byte, which no shell can take")
        if not all(map(_VARIABLE.fullmatch, variables)):
            raise InvalidInput("env has a name that no variable can have")
        variables.setdefault("APFLOW_IDEMPOTENCY_KEY", self.context.idempotency_key)
        return scripts.sent(command, variables, stdin)

    async def _result(
        self, inputs: Inputs, job: Job, telling: Telling, wait: Callable[[], Awaitable[Ended]]
    ) -> dict[str, Any]:
        seconds = _timeout(inputs)
        code, error = None, ""
        try:
            async with asyncio.timeout(seconds):
                ended = await wait()
            code, error = ended.code, "ended by force: it wrote too much" if ended.flooded else ""
        except TimeoutError:
            if not job.reached:
                away = Unreachable(f"the host was not reached within {seconds:g} s")
                raise job.refusal or away from None
            error = f"ended by force after {seconds:g} s"
        finally:
            await telling.end()
        result = {
            "success": code is not None and (code == 0 or code in self.context.accept),
            "command": inputs["command"], "stdout": job.out.text, "stderr": job.err.text,
            "return_code": code, "host": inputs["host"], "username": inputs["username"],
        }  # fmt: skip
        more = {"stdout": job.out, "stderr": job.err}
        result |= {f"{name}_truncated": True for name, of in more.items() if of.truncated}
        return result | ({"error": error} if error else {})


def _timeout(inputs: Inputs) -> float:
    value = inputs.get("timeout", DEFAULT_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("timeout is a number of seconds")
    if not 0 < value <= MAX_TIMEOUT:
        raise InvalidInput(f"timeout is a number of seconds above 0, at most {MAX_TIMEOUT:g}")
    return float(value)


def _read(path: str, what: str) -> str:
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > MAX_FILE:
            raise InvalidInput(f"{what} is no file, or too long")
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{what} cannot be read: {type(error).__name__}") from error
