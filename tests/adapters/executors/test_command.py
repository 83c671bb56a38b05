"""Programs of this machine: what is refused, what is inert, what is left running (nothing)."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.command.executor import environment, words
from aipartnerupflow.adapters.executors.command.policy import CommandPolicy, matches
from aipartnerupflow.adapters.executors.processes import running as processes
from aipartnerupflow.domain.errors import ExecutorDisabled, InvalidInput
from tests.adapters.executors.calls import call, error, raw, result

COMMAND = "command_executor"


def allowing(*patterns: list[str]) -> Registry:
    registry = Registry(installed=list)
    registry.configure(
        {"APFLOW_COMMAND_ENABLED": "true", "APFLOW_COMMAND_ALLOW": json.dumps(patterns)}
    )
    return registry


def python(code: str, *args: str) -> list[str]:
    return [sys.executable, "-c", code, *args]


PYTHON = [sys.executable, "-c", "..."]


async def test_a_program_is_run_with_its_arguments() -> None:
    registry = allowing(["echo", "*"])
    expected = {"success": True, "return_code": 0, "stdout": "hello\n", "stderr": ""}
    assert await result(registry, COMMAND, {"command": ["echo", "hello"]}) == expected
    assert await result(registry, COMMAND, {"command": "echo hello"}) == expected
    assert await result(registry, COMMAND, {"command": 'echo "hello"', "timeout": 5}) == expected


async def test_an_exit_code_is_a_failure_that_carries_the_output() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    found = await error(allowing(PYTHON), COMMAND, {"command": python(code)})
    assert (found.type, found.message) == ("unsuccessful", "return_code 3")
    assert isinstance(found.detail, msgspec.Raw)
    assert msgspec.json.decode(found.detail) == {
        "success": False, "return_code": 3, "stdout": "out\n", "stderr": "err\n",
    }  # fmt: skip


async def test_an_exit_code_that_the_task_accepts_is_success() -> None:
    registry, inputs = allowing(PYTHON), {"command": python("import sys; sys.exit(3)")}
    found = await result(registry, COMMAND, inputs, accept=(1, 3))
    assert (found["success"], found["return_code"]) == (True, 3)
    assert (await error(registry, COMMAND, inputs, accept=(1,))).message == "return_code 3"
    fine = {"command": python("pass")}
    assert (await result(registry, COMMAND, fine, accept=(1,)))["return_code"] == 0


async def test_it_is_off_until_it_is_enabled(registry: Registry) -> None:
    found = await error(registry, COMMAND, {"command": ["echo", "x"]})
    assert found.type == "ExecutorDisabled"
    assert "APFLOW_COMMAND_ENABLED" in found.message
    registry.configure({"APFLOW_COMMAND_ALLOW": [["echo", "*"]]})
    assert (await error(registry, COMMAND, {"command": ["echo", "x"]})).type == "ExecutorDisabled"
    registry.configure({"APFLOW_COMMAND_ENABLED": True})
    assert "allow-list" in (await error(registry, COMMAND, {"command": ["echo", "x"]})).message
    registry.configure({"APFLOW_COMMAND_ENABLED": 1, "APFLOW_COMMAND_ALLOW": [["echo", "*"]]})
    assert await result(registry, COMMAND, {"command": ["echo", "x"]})
    registry.clear_config()
    assert (await error(registry, COMMAND, {"command": ["echo", "x"]})).type == "ExecutorDisabled"


async def test_a_task_cannot_bring_its_own_policy(registry: Registry) -> None:
    policy = {"enabled": True, "allow": [["echo", "*"]]}
    for name in ("policy", "settings", "configured"):
        found = await error(registry, COMMAND, {"command": ["echo", "x"]}, params={name: policy})
        assert found.type == "ExecutorDisabled"


@pytest.mark.parametrize(
    "command",
    [
        "ls; id",
        "ls;id",
        "ls && id",
        "ls | id",
        "ls\nid",
        "ls -l",
        "ls ''",
        "lsof",
        "./ls",
        "/bin/ls",
        " LS",
        "$(id)",
        "`id`",
        "sh -c 'ls; id'",
        "env ls",
        "echo a b",
        "echo",
        "echo\nid\nid",
        "echo a; id",
        "echoes a",
        ["ls", ";", "id"],
        ["ls; id"],
        ["ls\n"],
        ["ls "],
        ["ls\nid"],
        ["ls", ""],
        ["sh", "-c", "ls"],
        ["echo"],
        ["echo", "a", "b"],
    ],
)
async def test_what_is_not_wholly_on_the_list_is_refused(command: Any) -> None:
    found = await error(allowing(["ls"], ["echo", "*"]), COMMAND, {"command": command})
    assert found.type == "ExecutorDisabled"
    assert "id" not in found.message.replace("idem", "").split()


@pytest.mark.parametrize(
    "text",
    [
        "; id",
        "$(id)",
        "`id`",
        "&& id",
        "| id > x",
        "a\nid",
        "${HOME}",
        "*",
        "~",
        "\\",
        "'",
        '"',
        "-n; id",
        "\N{SNOWMAN}",
    ],
)
async def test_the_signs_of_a_shell_are_plain_text(text: str, tmp_path: Path) -> None:
    registry = allowing(PYTHON)
    command = python("import sys; print(ascii(sys.argv[1:]))", text)
    assert (await result(registry, COMMAND, {"command": command}))["stdout"] == f"{[text]!a}\n"
    echoed = await result(allowing(["printf", "%s", "*"]), COMMAND, {
        "command": ["printf", "%s", text]
    })  # fmt: skip
    assert echoed["stdout"] == text


@pytest.mark.parametrize("command", ["", " ", [], [""], None, 3, ["ls", 3], {"a": 1}, "ls 'a"])
async def test_what_is_no_command_is_refused(command: Any) -> None:
    found = await error(allowing(["ls", "..."]), COMMAND, {"command": command})
    assert found.type == "InvalidInput"


@pytest.mark.parametrize("word", ["a\0b", "\ud800"])
def test_what_no_program_can_be_given_is_refused(word: str) -> None:
    with pytest.raises(InvalidInput, match="no program can be given"):
        words(["echo", word])


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 3601, True, "5", None])
async def test_a_timeout_is_a_bearable_number_of_seconds(seconds: Any) -> None:
    inputs = {"command": ["ls"], "timeout": seconds}
    assert (await error(allowing(["ls"]), COMMAND, inputs)).type == "InvalidInput"


def test_inputs_are_checked_by_schema_too(registry: Registry) -> None:
    wrong: list[dict[str, Any]] = [{}, {"command": 3}, {"command": []}]
    for inputs in [*wrong, {"command": "ls", "timeout": 0}]:
        assert registry.violations(COMMAND, raw({}), inputs)
    assert registry.violations(COMMAND, raw({}), {"command": "ls", "timeout": 2}) == []


async def test_a_program_that_is_not_there_fails_the_task() -> None:
    found = await error(allowing(["no-such-program"]), COMMAND, {"command": "no-such-program"})
    assert found.type == "FileNotFoundError"


async def test_the_environment_is_cleaned_and_holds_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    monkeypatch.setenv("LD_PRELOAD", "")
    command = python("import json, os; print(json.dumps(dict(os.environ)))")
    found = await result(allowing(PYTHON), COMMAND, {"command": command})
    seen = json.loads(found["stdout"])
    assert seen["APFLOW_IDEMPOTENCY_KEY"] == "the-key"
    allowed = {"APFLOW_IDEMPOTENCY_KEY", "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ"}
    assert set(seen) <= allowed


def test_the_working_directory_is_never_on_the_path() -> None:
    assert environment({"PATH": ":.:bin:/usr/bin::/bin"}) == {"PATH": "/usr/bin:/bin"}
    assert environment({"PATH": ""})["PATH"].startswith("/")
    assert environment({"SECRET": "x", "TZ": "UTC"})["TZ"] == "UTC"


async def test_a_program_reads_nothing() -> None:
    command = python("import sys; print(repr(sys.stdin.read()))")
    assert (await result(allowing(PYTHON), COMMAND, {"command": command}))["stdout"] == "''\n"


async def test_long_output_is_cut_and_says_so() -> None:
    code = "import sys; print('x' * 3_000_000); print('y' * 10, file=sys.stderr)"
    found = await result(allowing(PYTHON), COMMAND, {"command": python(code)})
    assert found["stdout"] == "x" * CommandPolicy().max_output
    assert found["stdout_truncated"] is True
    assert "stderr_truncated" not in found


async def test_endless_output_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MAX_FLOOD", 1_000_000)
    found = await error(allowing(["yes"]), COMMAND, {"command": "yes"})
    assert "too much" in found.message


def alive(pid: int) -> bool:
    """Whether it runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pids: list[int]) -> bool:
    for _ in range(500):
        if not any(map(alive, pids)):
            return True
        await asyncio.sleep(0.01)
    return False


async def written(path: Path) -> list[int]:
    for _ in range(500):
        if (text := _bytes(path)).endswith(b"."):
            return [int(pid) for pid in text.rstrip(b".").split()]
        await asyncio.sleep(0.01)
    pytest.fail("the program did not begin")


# Starts a child that ignores every polite signal, writes both process ids, and stays.
FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"])
print("so far", flush=True)
with open(sys.argv[1], "w") as file:
    file.write(f"{os.getpid()} {child.pid}.")
time.sleep(float(sys.argv[2]))
"""


async def test_a_timeout_leaves_no_process(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    inputs = {"command": python(FAMILY, str(pids), "60"), "timeout": 1}
    began = time.monotonic()
    found = await error(allowing(PYTHON), COMMAND, inputs)
    assert time.monotonic() - began < 10
    assert found.message == "ended by force after 1 s"
    assert isinstance(found.detail, msgspec.Raw)
    detail = msgspec.json.decode(found.detail)
    assert (detail["success"], detail["return_code"], detail["stdout"]) == (False, -9, "so far\n")
    assert await gone(await written(pids))


async def test_a_cancelled_command_leaves_no_process(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    inputs = {"command": python(FAMILY, str(pids), "60")}
    task = asyncio.ensure_future(invoke(allowing(PYTHON), call(COMMAND, inputs), asyncio.to_thread))
    family = await written(pids)
    assert all(map(alive, family))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(family)


async def test_children_that_stay_behind_are_ended_with_their_program(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    inputs = {"command": python(FAMILY, str(pids), "0"), "timeout": 20}
    began = time.monotonic()
    assert (await result(allowing(PYTHON), COMMAND, inputs))["stdout"] == "so far\n"
    assert time.monotonic() - began < 10
    assert await gone(await written(pids))


async def test_a_command_that_is_cancelled_while_it_starts_leaves_no_process() -> None:
    mark = f"{os.getpid()}{time.monotonic_ns()}"
    command = python("import time; time.sleep(60)", mark)
    for wait in range(6):
        task = asyncio.ensure_future(
            invoke(allowing(PYTHON), call(COMMAND, {"command": command}), asyncio.to_thread)
        )
        for _ in range(wait):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await gone(running(mark))


async def test_nor_does_one_that_is_cancelled_twice_while_it_starts() -> None:
    mark = f"{os.getpid()}{time.monotonic_ns()}"
    command = python("import time; time.sleep(60)", mark)
    for wait in range(25):
        task = asyncio.ensure_future(
            invoke(allowing(PYTHON), call(COMMAND, {"command": command}), asyncio.to_thread)
        )
        for _ in range(wait):
            await asyncio.sleep(0)
        task.cancel()
        for _ in range(2):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0.1)  # asyncio closes its pipes a little later
    assert await gone(running(mark))


def running(mark: str) -> list[int]:
    """The programs that have ``mark`` among their arguments."""
    found = Path("/proc").glob("[0-9]*/cmdline")
    return [int(path.parent.name) for path in found if mark.encode() in _bytes(path)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_many_commands_at_once_leave_no_descriptor_open() -> None:
    registry = allowing(["echo", "*"])
    await result(registry, COMMAND, {"command": "echo warm"})
    before = len(os.listdir("/proc/self/fd"))
    found = await asyncio.gather(
        *(result(registry, COMMAND, {"command": ["echo", str(n)]}) for n in range(20))
    )
    assert [each["stdout"] for each in found] == [f"{n}\n" for n in range(20)]
    await error(allowing(["no-such-program"]), COMMAND, {"command": "no-such-program"})
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("pattern", "argv", "fits"),
    [
        (("ls",), ["ls"], True),
        (("ls",), ["ls", "-l"], False),
        (("ls", "*"), ["ls"], False),
        (("ls", "*"), ["ls", "anything; at all"], True),
        (("ls", "..."), ["ls"], True),
        (("ls", "..."), ["ls", "a", "b"], True),
        (("ls", "-l", "..."), ["ls", "-a"], False),
        (("ls", "-l", "..."), ["ls"], False),
        (("ls", "*", "..."), ["ls"], False),
        (("ls", "a*"), ["ls", "abc"], False),
        (("ls", "a*"), ["ls", "a*"], True),
        (("git", "*", "status"), ["git", "-C", "status"], True),
        (("git", "*", "status"), ["git", "-C", "push"], False),
    ],
)
def test_a_pattern_stands_for_whole_commands(
    pattern: tuple[str, ...], argv: list[str], fits: bool
) -> None:
    assert matches(pattern, argv) is fits


@pytest.mark.parametrize("enabled", ["yes", "1", "TRUE", " on ", True])
def test_what_switches_commands_on(enabled: Any) -> None:
    assert CommandPolicy.from_settings({"APFLOW_COMMAND_ENABLED": enabled}).enabled


@pytest.mark.parametrize("enabled", ["no", "0", "False", "", False])
def test_what_leaves_commands_off(enabled: Any) -> None:
    policy = CommandPolicy.from_settings({"APFLOW_COMMAND_ENABLED": enabled})
    with pytest.raises(ExecutorDisabled):
        policy.require(["ls"])


@pytest.mark.parametrize(
    "settings",
    [
        {"APFLOW_COMMAND_ENABLED": "maybe"},
        {"APFLOW_COMMAND_ALLOW": "ls"},
        {"APFLOW_COMMAND_ALLOW": '["ls"]'},
        {"APFLOW_COMMAND_ALLOW": "[[]]"},
        {"APFLOW_COMMAND_ALLOW": '[["*"]]'},
        {"APFLOW_COMMAND_ALLOW": '[["..."]]'},
        {"APFLOW_COMMAND_ALLOW": '[[""]]'},
        {"APFLOW_COMMAND_ALLOW": '[["ls", "...", "-l"]]'},
        {"APFLOW_COMMAND_ALLOW": '[["ls", 3]]'},
        {"APFLOW_COMMAND_ALLOW": [["*", "a"]]},
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(
    registry: Registry, settings: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        registry.configure(settings)


def test_settings_of_others_are_none_of_its_business(registry: Registry) -> None:
    registry.configure({"APFLOW_PORT": 8000, "APFLOW_COMMAND_ALLOW": "", "HOME": "/"})
    assert COMMAND in registry.ids()


# -- what else it can be given


def given(place: Path, **more: Any) -> Registry:
    registry = Registry(installed=list)
    registry.configure(
        {
            "APFLOW_COMMAND_ENABLED": True, "APFLOW_COMMAND_ALLOW": [PYTHON],
            "APFLOW_COMMAND_ROOTS": (str(place),), "APFLOW_COMMAND_ENV": ("GREETING",), **more,
        }
    )  # fmt: skip
    return registry


async def test_a_program_reads_what_it_is_given(tmp_path: Path) -> None:
    code = "import sys; print(sys.stdin.read().upper(), end='')"
    inputs = {"command": python(code), "stdin": "grüße\n"}
    assert (await result(given(tmp_path), COMMAND, inputs))["stdout"] == "GRÜSSE\n"
    unread = {"command": python("print(1)"), "stdin": "x" * 250_000}
    assert (await result(given(tmp_path), COMMAND, unread))["stdout"] == "1\n"


async def test_one_that_got_away_with_what_it_was_to_read_holds_up_nothing(tmp_path: Path) -> None:
    code = (
        "from subprocess import DEVNULL as no, Popen\n"
        "print(Popen(['sleep', '30'], stdout=no, stderr=no, start_new_session=True).pid)"
    )
    inputs = {"command": python(code), "stdin": "x" * 250_000, "timeout": 20}
    began = time.monotonic()
    found = await result(given(tmp_path), COMMAND, inputs)
    assert time.monotonic() - began < 10
    os.kill(int(found["stdout"]), signal.SIGKILL)


async def test_it_works_in_a_folder_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    inputs = {"command": python("import os; print(os.getcwd())"), "cwd": f"{tmp_path}/in"}
    found = await result(given(tmp_path), COMMAND, inputs)
    assert found["stdout"] == f"{(tmp_path / 'in').resolve()}\n"


@pytest.mark.parametrize("cwd", ["/", "in", "{root}/../", "{root}x", "{root}/out"])
async def test_no_other_folder_will_do(tmp_path: Path, cwd: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "rootx").mkdir()
    (root / "out").symlink_to("/")
    inputs = {"command": python("print(1)"), "cwd": cwd.format(root=root)}
    found = await error(given(root), COMMAND, inputs)
    assert found.type == "ExecutorDisabled"
    assert "APFLOW_COMMAND_ROOTS" in found.message


async def test_a_task_sets_variables_that_are_allowed_and_no_others(tmp_path: Path) -> None:
    registry = given(tmp_path)
    code = "import os; print(os.environ['GREETING'])"
    inputs = {"command": python(code), "env": {"GREETING": "hello"}}
    assert (await result(registry, COMMAND, inputs))["stdout"] == "hello\n"
    for name in ("LD_PRELOAD", "PATH", "PYTHONPATH", "GREETINGS", "APFLOW_IDEMPOTENCY_KEY"):
        inputs = {"command": python("print(1)"), "env": {name: "/tmp/x"}}
        assert (await error(registry, COMMAND, inputs)).type == "ExecutorDisabled"


async def test_its_memory_is_bounded(tmp_path: Path) -> None:
    registry = given(tmp_path, APFLOW_COMMAND_MEMORY=512 << 20)
    code = "import time; time.sleep(0.3); print(len(bytearray(1 << 30)))"
    found = await error(registry, COMMAND, {"command": python(code)})
    assert isinstance(found.detail, msgspec.Raw)
    assert "MemoryError" in msgspec.json.decode(found.detail)["stderr"]


class Port:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def beat(self) -> None:
        """Not counted."""

    async def progress(self, fraction: float, message: str) -> None:
        self.told.append(message)

    async def save(self, checkpoint: Any) -> None:
        raise AssertionError("nothing is saved")

    async def taken_over(self) -> None:
        raise AssertionError("nothing is taken over")


async def test_its_output_is_told_while_it_runs(tmp_path: Path) -> None:
    port = Port()
    code = "import time; print('first', flush=True); time.sleep(0.3); print('last')"
    inputs = {"command": python(code)}
    assert await result(given(tmp_path), COMMAND, inputs, port=port)
    assert port.told == ["first"]


# -- the guard that stands between the engine and the program

ENGINE = """
import asyncio, json, os, signal, sys
from aipartnerupflow.adapters.executors.processes.running import run
async def main(argv, dies):
    asyncio.get_running_loop().call_later(dies, os.kill, os.getpid(), signal.SIGKILL)
    await run(argv, env={"PATH": "/usr/bin:/bin"}, seconds=60, max_output=100)
asyncio.run(main(json.loads(sys.argv[1]), float(sys.argv[2])))
"""


async def engine(command: list[str], dies: float) -> None:
    """An engine in a process of its own, killed so many seconds after it called a command."""
    process = await asyncio.create_subprocess_exec(*python(ENGINE, json.dumps(command), str(dies)))
    assert await process.wait() == -9


async def test_a_command_does_not_outlive_a_killed_engine(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    await engine(python(FAMILY, str(pids), "60"), 2)
    assert await gone(await written(pids))


async def test_nor_does_one_that_was_about_to_start() -> None:
    mark = f"{os.getpid()}{time.monotonic_ns()}"
    for milliseconds in (0, 2, 4, 6, 8, 12, 20):
        await engine(python("import time; time.sleep(60)", mark), milliseconds / 1_000)
        assert await gone(running(mark))


SEES = """
read children < /proc/$$/task/$$/children; echo "[$children]"
grep SigIgn /proc/self/status
ls /proc/self/fd | wc -l
tr '\\0' '\\n' < /proc/$$/environ | grep LC_
kill -TERM $$
"""


MADE_BY_PYTHON = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1


def ignored_here() -> int:
    """The mask of the signals that this process ignores; whoever started it may have said so."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("SigIgn:")[2].split()[0], 16)


async def test_a_program_meets_nothing_of_its_guard() -> None:
    """No child, no signal that is ignored, no descriptor but three (`ls` adds one), no locale."""
    env = {"PATH": "/usr/bin:/bin", "LANG": "C"}
    finished = await processes.run(["sh", "-c", SEES], env=env, seconds=20, max_output=1_000)
    children, ignored, descriptors = finished.stdout.text.splitlines()
    assert (children, descriptors) == ("[]", "4")
    assert int(ignored.split()[1], 16) == ignored_here() & ~MADE_BY_PYTHON
    assert (finished.code, finished.timed_out) == (-15, False)


@pytest.mark.parametrize("ctype", ["C", "C.UTF-8"])
async def test_a_variable_of_the_locale_arrives_as_it_was_given(ctype: str) -> None:
    env = {"PATH": "/usr/bin:/bin", "LC_CTYPE": ctype}
    finished = await processes.run(["env"], env=env, seconds=20, max_output=1_000)
    assert sorted(finished.stdout.text.split()) == sorted(f"{k}={v}" for k, v in env.items())


async def test_a_program_may_end_with_the_code_that_the_guard_uses() -> None:
    assert (await error(allowing(PYTHON), COMMAND, {"command": python("raise SystemExit(127)")})
            ).message == "return_code 127"  # fmt: skip


async def test_what_may_not_be_executed_fails_the_task(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    command = [str(tmp_path / "text")]
    found = await error(allowing(command), COMMAND, {"command": command})
    assert found.type == "PermissionError"


async def test_what_a_program_starts_at_once_is_bounded_too() -> None:
    line = "(ulimit -v) & (ulimit -v) & ulimit -v; wait"
    for _ in range(5):
        finished = await processes.run(
            ["sh", "-c", line], env={"PATH": "/usr/bin:/bin"}, seconds=20, max_output=1_000,
            memory=200 << 20,
        )  # fmt: skip
        assert finished.stdout.text.split() == ["204800"] * 3
