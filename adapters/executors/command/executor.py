"""Programs of this machine, as far as the operator allows."""

import os
import shlex
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Final

from ....domain.errors import InvalidInput
from ..base import BaseTask, Inputs
from ..configured import with_attributes
from ..processes.running import Finished, run
from ..secrets import holds_secret
from ..telling import Telling
from .policy import CommandPolicy

DEFAULT_TIMEOUT: Final = 30.0
MAX_STDIN: Final = 256 * 1024
DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
PASSED_ON: Final = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""Of the environment of this process a command gets these, and the absolute folders of PATH."""

INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "command": {
            "description": "program and arguments; a string is split at its spaces",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        },
        "timeout": {"type": "number", "exclusiveMinimum": 0, "default": DEFAULT_TIMEOUT},
        "cwd": {
            "type": "string",
            "description": "where it works, an absolute path; in a folder that the operator allows",
        },
        "env": {
            "type": "object",
            "description": "variables beside the usual few; names that the operator allows",
            "additionalProperties": {"type": "string"},
        },
        "stdin": {"type": "string", "description": "what it reads", "maxLength": MAX_STDIN},
    },
    "required": ["command"],
}
OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean"},
        "return_code": {"type": "integer"},
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
    },
    "required": ["success", "return_code", "stdout", "stderr"],
}


class CommandExecutor(BaseTask):
    """Runs one program with its arguments; no shell is involved, so none of its signs works.

    See `command_policy` for what is allowed: nothing, at first.
    """

    id = "command_executor"
    name = "Command"
    description = "Runs an allowed program of this machine and returns what it printed"
    tags = ("core",)
    cancelable = True
    by_name: ClassVar[bool] = False
    examples = (
        {"command": ["uptime"]},
        {"command": "echo hello", "timeout": 5},
        {"command": ["sort"], "stdin": "b\na\n"},
    )
    inputs_schema = INPUTS
    outputs_schema = OUTPUTS

    policy = CommandPolicy()

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Callable[..., "CommandExecutor"]:
        """A factory whose executors keep to the policy in ``settings``.

        The policy never comes through the constructor: what that is given stands in the task.
        """
        policy = CommandPolicy.from_settings(settings)
        return with_attributes(cls, policy=policy)

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """``{success, return_code, stdout, stderr}``; ``error`` where it was ended by force."""
        if holds_secret(inputs.get("command")):
            raise InvalidInput(
                "a secret is no word of a command: everybody on this machine can list those. Give "
                "it as `stdin`, or in `env` under a name that the operator allows"
            )
        argv = words(inputs.get("command"))
        policy = self.policy
        policy.require(argv)
        timeout = self._timeout(inputs.get("timeout", DEFAULT_TIMEOUT))
        more = inputs.get("env") or {}
        policy.require_variables(more)
        cwd = None if inputs.get("cwd") is None else policy.require_folder(inputs["cwd"])
        env = environment(os.environ) | {name: str(value) for name, value in more.items()}
        env["APFLOW_IDEMPOTENCY_KEY"] = self.context.idempotency_key
        telling = Telling(self.context)
        try:
            finished = await run(
                argv, env=env, seconds=timeout, max_output=policy.max_output, cwd=cwd,
                stdin=str(inputs.get("stdin") or "").encode(), memory=policy.memory,
                heard=telling.hear,
            )  # fmt: skip
        finally:
            await telling.end()
        return _result(finished, timeout, self.context.accept)

    def _timeout(self, value: Any) -> float:
        most = self.policy.max_timeout
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
            raise InvalidInput(f"timeout is a number of seconds above 0, at most {most:g}")
        return float(value)


def words(command: Any) -> list[str]:
    """Program and arguments. Raises `InvalidInput`, which shows nothing of the command."""
    if isinstance(command, str):
        try:
            command = shlex.split(command)
        except ValueError:
            raise InvalidInput("command has a quote that is not closed") from None
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise InvalidInput("command is a string or a list of strings")
    if not command or not command[0]:
        raise InvalidInput("command names no program")
    try:
        if any(b"\0" in os.fsencode(word) for word in command):
            raise InvalidInput("command holds a zero byte, which no program can be given")
    except UnicodeEncodeError:
        raise InvalidInput("command holds a character that no program can be given") from None
    return command


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What a command gets of ``given``: nothing that could hold a secret."""
    kept = {name: given[name] for name in PASSED_ON if name in given}
    folders = [folder for folder in given.get("PATH", "").split(":") if os.path.isabs(folder)]
    return kept | {"PATH": ":".join(folders) or DEFAULT_PATH}


def _result(finished: Finished, timeout: float, accept: Collection[int]) -> dict[str, Any]:
    stdout, stderr = finished.stdout, finished.stderr
    forced = finished.timed_out or finished.flooded
    result: dict[str, Any] = {
        "success": (finished.code == 0 or finished.code in accept) and not forced,
        "return_code": finished.code,
        "stdout": stdout.text,
        "stderr": stderr.text,
    }
    if finished.timed_out:
        result["error"] = f"ended by force after {timeout:g} s"
    elif finished.flooded:
        result["error"] = "ended by force: it wrote too much"
    for name, stream in (("stdout", stdout), ("stderr", stderr)):
        if stream.truncated:
            result[f"{name}_truncated"] = True
    return result
