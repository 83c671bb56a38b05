"""Containers on this machine, as far as the operator allows."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Final

from ....domain.errors import InvalidInput
from ..base import BaseTask, Inputs
from ..command.executor import words
from ..configured import with_attributes
from ..secrets import holds_secret
from ..telling import Telling
from .engine import Engine, EngineAway, EngineRefused
from .job import Ended, Job
from .policy import NONE, DockerPolicy, Mount
from .schemas import DEFAULT_TIMEOUT, INPUTS, MAX_TIMEOUT, MISSING, OUTPUTS, PULL

MAX_PIDS: Final = 512
LOG_FILES: Final = {"max-size": "64m", "max-file": "2"}
"""The engine keeps no more of a log than this on its disk."""
_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._:@-]*"
_IMAGE: Final = re.compile(rf"(?=.{{1,512}}\Z){_PART}(?:/{_PART})*")
_VARIABLE: Final = re.compile(r"[^\x00=]{1,256}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9-]")
_MEMORY: Final = re.compile(r"(\d{1,15})([bkmg]?)b?", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
MIN_MEMORY: Final = 6 << 20
"""The engine takes no less."""


class DockerExecutor(BaseTask):
    """Runs one container: without privileges, and without network unless it is given one.

    It lives on when the engine of tasks is lost, and is found again by its labels; it is killed by
    a timeout or a cancel.
    """

    id = "docker_executor"
    name = "Docker"
    description = "Runs a container and returns what it wrote"
    tags = ("docker",)
    cancelable = True
    by_name: ClassVar[bool] = False
    examples = (
        {"image": "alpine:3.22", "command": ["sh", "-c", "echo $GREETING"],
         "env": {"GREETING": "hello"}},
        {"image": "python:3.13-slim", "command": "python /data/report.py", "timeout": 600,
         "volumes": {"/srv/reports": "/data:rw"}, "resources": {"cpu": 1, "memory": "512m"}},
    )  # fmt: skip
    inputs_schema = INPUTS
    outputs_schema = OUTPUTS

    policy = DockerPolicy()

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Callable[..., "DockerExecutor"]:
        """A factory whose containers keep to what the operator allows."""
        policy = DockerPolicy.from_settings(settings)
        return with_attributes(cls, policy=policy)

    @classmethod
    def safe_to_repeat(cls, inputs: Inputs) -> bool:
        """A container may do something twice."""
        return False

    def get_demo_result(self, task: Any, inputs: Inputs) -> dict[str, Any]:
        """As of a container that wrote a line."""
        return {
            "success": True, "container_id": "0" * 64, "logs": "demo\n", "exit_code": 0,
            "image": str(inputs.get("image", "")), "command": inputs.get("command"),
        }  # fmt: skip

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """``{success, container_id, logs, exit_code, image, command}``; see `OUTPUTS`."""
        if holds_secret(inputs.get("command")):
            raise InvalidInput(
                "a secret is no word of a command: everybody on this machine can list those. Give "
                "it in `env`"
            )
        image = str(inputs["image"])
        self.policy.require_image(image)
        pull = inputs.get("pull", MISSING)
        seconds = _timeout(inputs)
        if not _IMAGE.fullmatch(image) or pull not in PULL:
            raise InvalidInput(f"image is a name with tag or digest, pull is {', '.join(PULL)}")
        volumes = inputs.get("volumes") or {}
        mounts = await asyncio.to_thread(self.policy.mounts, volumes)
        spec = self._spec(image, inputs, mounts)
        telling = Telling(self.context)
        job = self._job(inputs, telling)

        async def judge_again() -> None:
            await asyncio.to_thread(self.policy.require_same, mounts, volumes)

        await job.fetch(image, pull, self.policy.judge_registry)
        await judge_again()
        await job.make(spec)
        return await self._result(inputs, job, telling, lambda: job.run(judge_again), seconds)

    async def reattach(self, inputs: Inputs) -> Callable[[], Awaitable[dict[str, Any]]] | None:
        """The container of this attempt, running or ended.

        While the container engine does not answer, or cannot tell, it may well run: then it is
        looked for until the timeout.
        """
        telling, labels = Telling(self.context), self._labels()
        job = self._job(inputs, telling)
        wait = job.follow
        try:
            if not await job.find(labels):
                return None
        except (EngineAway, EngineRefused):
            self.context.log.warning("no container engine tells; the container may still run")
            wait = partial(job.seek, labels)
        return lambda: self._result(inputs, job, telling, wait, _timeout(inputs))

    def _job(self, inputs: Inputs, telling: Telling) -> Job:
        context, socket = self.context, self.policy.socket
        engine = context.shared.get(f"docker {socket}", lambda: Engine(socket))
        key = _UNSAFE.sub("_", context.idempotency_key) or "detached"
        return Job(
            engine, f"apflow-{key}-{context.attempt}", telling.hear,
            keep=not inputs.get("remove", True),
        )  # fmt: skip

    def _labels(self) -> dict[str, str]:
        """By which the container is found. The key stands for tree uid, task and generation."""
        context = self.context
        return {
            "apflow.tree": context.tree_id, "apflow.task": context.task_id,
            "apflow.generation": str(context.generation), "apflow.attempt": str(context.attempt),
            "apflow.key": context.idempotency_key,
        }  # fmt: skip

    def _spec(self, image: str, inputs: Inputs, mounts: list[Mount]) -> dict[str, Any]:
        variables = {str(k): str(v) for k, v in (inputs.get("env") or {}).items()}
        variables.setdefault("APFLOW_IDEMPOTENCY_KEY", self.context.idempotency_key)
        if not all(map(_VARIABLE.fullmatch, variables)) or "\0" in "".join(variables.values()):
            raise InvalidInput("env has a name or a value that no variable can have")
        spec: dict[str, Any] = {
            "Image": image, "Labels": self._labels(), "Tty": False, "OpenStdin": False,
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "HostConfig": {
                "NetworkMode": self.policy.require_network(str(inputs.get("network", NONE))),
                "Mounts": [_mount(mount) for mount in mounts],
                "Privileged": False, "SecurityOpt": ["no-new-privileges"], "PidsLimit": MAX_PIDS,
                "CapDrop": ["MKNOD", "NET_RAW"],
                "LogConfig": {"Type": "json-file", "Config": LOG_FILES}, "AutoRemove": False,
                "RestartPolicy": {"Name": "no"}, **_limits(inputs.get("resources") or {}),
            },
        }  # fmt: skip
        if inputs.get("command") is not None:
            spec["Cmd"] = words(inputs["command"])
        if inputs.get("working_dir") is not None:
            spec["WorkingDir"] = str(inputs["working_dir"])
        return spec

    async def _result(
        self, inputs: Inputs, job: Job, telling: Telling,
        wait: Callable[[], Awaitable[Ended]], seconds: float,
    ) -> dict[str, Any]:  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                ended = await wait()
        except TimeoutError:
            ended = Ended(None, f"ended by force after {seconds:g} s")
        finally:
            await telling.end()
        code = ended.code
        result = {
            "success": code is not None and (code == 0 or code in self.context.accept),
            "container_id": job.id, "logs": job.log.text, "exit_code": code,
            "image": inputs["image"], "command": inputs.get("command"),
        }  # fmt: skip
        if job.log.truncated:
            result["logs_truncated"] = True
        return result | ({"error": ended.error} if ended.error else {})


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "Type": "bind", "Source": mount.source, "Target": mount.target,
        "ReadOnly": not mount.writable, "BindOptions": {"Propagation": "rprivate"},
    }  # fmt: skip


def _limits(resources: Mapping[str, Any]) -> dict[str, int]:
    """Raises `InvalidInput`."""
    limits = {}
    if resources.get("cpu") is not None:
        try:
            cpu = float(resources["cpu"])
        except (TypeError, ValueError):
            cpu = 0.0
        if not 0.01 <= cpu <= 1024:
            raise InvalidInput("resources.cpu is a number of processors from 0.01 on")
        limits["NanoCpus"] = round(cpu * 1e9)
    if resources.get("memory") is not None:
        found = _MEMORY.fullmatch(str(resources["memory"]))
        size = int(found[1]) * _UNITS[found[2].lower()] if found else 0
        if size < MIN_MEMORY:
            raise InvalidInput("resources.memory is bytes, or a text such as 512m; 6m at least")
        limits["Memory"] = limits["MemorySwap"] = size
    return limits


def _timeout(inputs: Inputs) -> float:
    value = inputs.get("timeout", DEFAULT_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("timeout is a number of seconds")
    if not 0 < value <= MAX_TIMEOUT:
        raise InvalidInput(f"timeout is a number of seconds above 0, at most {MAX_TIMEOUT:g}")
    return float(value)
