"""`ssh_executor` against a server in this process that runs real commands."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from msgspec import Raw, json, structs

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.adapters.executors.ssh.connections import Connections, Login, Unreachable
from aipartnerupflow.adapters.executors.ssh.job import Job
from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.engine.ports import Gone, Outcome, Raised, Returned
from tests.adapters.executors.calls import Port, call
from tests.support.places import until
from tests.support.ssh import PASSWORD, USER, InProcess

SSH = "ssh_executor"
CANARY = "canary-7f3a9c51"
LONG = "echo begun; while [ ! -f go ]; do sleep 0.05; done; echo went; exit 3"


@pytest.fixture
def target(tmp_path: Path) -> Iterator[InProcess]:
    with InProcess(tmp_path / "ssh").running() as found:
        yield found


@pytest.fixture
def settings(target: InProcess, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("PASSWORD", PASSWORD)
    monkeypatch.setenv("WRONG", "not the password")
    monkeypatch.setenv("TOKEN", CANARY)
    monkeypatch.setenv("KEY", target.key_file.read_text())
    here = {"source": "env", "executors": [SSH], "hosts": ["127.0.0.1", "localhost"]}
    return {
        "APFLOW_PRIVATE_TARGETS": ("127.0.0.1", "localhost"),
        "APFLOW_SSH_KNOWN_HOSTS": target.known_hosts,
        "APFLOW_SSH_KEY_ROOTS": (str(target.key_file.parent),),
        "APFLOW_SECRETS": {
            **dict.fromkeys(("PASSWORD", "WRONG", "TOKEN", "KEY"), here),
            "ELSEWHERE": {**here, "name": "TOKEN", "hosts": ["ssh.example.com"]},
        },
    }


class Caller:
    """Runs commands as tasks of one engine do."""

    def __init__(self, settings: dict[str, Any], target: InProcess) -> None:
        self.registry, self.target = Registry(), target
        self.registry.configure(settings)
        self.shared = Shared()

    def inputs(self, command: str, **more: Any) -> dict[str, Any]:
        inputs: dict[str, Any] = {
            "host": "127.0.0.1", "port": self.target.port, "username": USER, "command": command,
        }  # fmt: skip
        if not {"password", "key", "key_file"} & more.keys():
            inputs["key_file"] = str(self.target.key_file)
        return {name: value for name, value in {**inputs, **more}.items() if value is not None}

    async def outcome(self, inputs: dict[str, Any], **of: Any) -> Outcome:
        return await invoke(self.registry, call(SSH, inputs, **of), asyncio.to_thread, self.shared)

    async def __call__(self, command: str, **more: Any) -> dict[str, Any]:
        found = await self.outcome(self.inputs(command, **more))
        assert isinstance(found, Returned), found
        result: dict[str, Any] = json.decode(found.result)
        return result

    async def refused(self, command: str = "echo", **more: Any) -> Raised:
        found = await self.outcome(self.inputs(command, **more))
        assert isinstance(found, Raised), found
        return found

    def begin(self, command: str, port: Port | None = None) -> "asyncio.Task[Outcome]":
        return asyncio.ensure_future(
            self.outcome(self.inputs(command, timeout=60), port=port or Port())
        )


@pytest.fixture
async def run(settings: dict[str, Any], target: InProcess) -> AsyncIterator[Caller]:
    made = Caller(settings, target)
    yield made
    await made.shared.close()


def detail(found: Outcome) -> Any:
    """The result that an attempt failed with."""
    assert isinstance(found, Raised), found
    assert isinstance(found.error.detail, Raw), found
    return json.decode(found.error.detail)


def let_go() -> None:
    Path("go").touch()


def read(name: str) -> str:
    return Path(name).read_text()


def exists(name: str) -> bool:
    return Path(name).exists()


def is_transient(found: Raised) -> bool:
    return "TransientError" in (found.error.type, *found.error.bases)


async def test_a_command_runs_and_its_output_comes_back(run: Caller, target: InProcess) -> None:
    found = await run("echo out; echo err >&2; pwd")
    assert found == {
        "success": True, "command": "echo out; echo err >&2; pwd", "return_code": 0,
        "stdout": f"out\n{Path.cwd()}\n", "stderr": "err\n", "host": "127.0.0.1", "username": USER,
    }  # fmt: skip
    assert target.folders == []


async def test_it_gets_variables_input_and_the_idempotency_key(run: Caller) -> None:
    found = await run(
        'cat; echo "$A $APFLOW_IDEMPOTENCY_KEY"; echo "$#"', env={"A": "it's $HOME\n"}, stdin="a\nb"
    )
    assert found["stdout"] == "a\nbit's $HOME\n the-key\n0\n"


async def test_an_exit_code_fails_the_task_unless_it_is_accepted(run: Caller) -> None:
    found = await run.refused("echo why >&2; exit 3")
    assert (found.error.type, found.error.message) == ("unsuccessful", "return_code 3")
    assert detail(found)["stderr"] == "why\n"
    assert isinstance(await run.outcome(run.inputs("exit 3"), accept=(3,)), Returned)


async def test_a_command_of_several_lines_with_a_mistake_in_it_fails(run: Caller) -> None:
    assert detail(await run.refused("echo 'x"))["return_code"] == 2


@pytest.mark.parametrize(
    "more", [{"password": {"$secret": "PASSWORD"}}, {"key": {"$secret": "KEY"}}]
)
async def test_passwords_and_keys_are_secrets(run: Caller, more: dict[str, Any]) -> None:
    assert (await run("echo in", **more))["stdout"] == "in\n"


async def test_a_password_in_clear_is_refused(run: Caller, target: InProcess) -> None:
    found = await run.refused(password=PASSWORD)
    assert "given in clear" in found.error.message
    assert PASSWORD not in found.error.message
    assert target.connections == 0


@pytest.mark.parametrize("more", [{"key_file": "/etc/hostname"}, {"key_file": "user_key"}])
async def test_key_files_lie_in_folders_that_are_allowed(
    run: Caller, target: InProcess, more: dict[str, Any]
) -> None:
    assert (await run.refused(**more)).error.type == "ExecutorDisabled"
    assert target.connections == 0


async def test_a_link_does_not_lead_out_of_the_allowed_folders(
    run: Caller, target: InProcess, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(target.key_file.read_bytes())
    link = target.key_file.with_name("link")
    link.symlink_to(outside)
    assert (await run.refused(key_file=str(link))).error.type == "ExecutorDisabled"


async def test_a_wrong_password_is_final(run: Caller) -> None:
    found = await run.refused(password={"$secret": "WRONG"})
    assert (found.error.type, is_transient(found)) == ("LoginRefused", False)


async def test_keys_of_the_engines_own_user_are_not_offered(
    run: Caller, target: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "engine" / ".ssh"
    own.mkdir(parents=True)
    (own / "id_ed25519").write_bytes(target.key_file.read_bytes())
    monkeypatch.setenv("HOME", str(own.parent))
    assert (await run.refused(password={"$secret": "WRONG"})).error.type == "LoginRefused"


async def test_another_host_key_than_the_known_one_is_final(run: Caller, target: InProcess) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    target.known_hosts.write_text(f"[127.0.0.1]:{target.port} {other}")
    found = await run.refused(host_key=target.host_key)
    assert (found.error.type, is_transient(found)) == ("HostKeyRefused", False)
    assert target.channels == []


async def test_an_unknown_host_is_not_even_called(run: Caller, target: InProcess) -> None:
    target.known_hosts.write_text("")
    found = await run.refused()
    assert "none is trusted on first use" in found.error.message
    assert target.connections == 0


async def test_a_task_may_bring_the_key_of_an_unknown_host(run: Caller, target: InProcess) -> None:
    target.known_hosts.write_text("")
    assert (await run("echo in", host_key=target.host_key))["stdout"] == "in\n"
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    assert (await run.refused(host_key=other)).error.type == "HostKeyRefused"


@pytest.mark.parametrize(
    ("known", "host"),
    [
        ("[localhost]:{port} {other}", "LOCALHOST"),
        ("[localhost]:{port} {other}", "localhost."),
        ("[LocalHost]:{port} {other}", "localhost"),
        ("[localhost.]:{port} {other}", "localhost"),
        ("localhost {other}", "\uff4cocalhost"),
        ("local* {other}", "LOCALHOST"),
        ("[127.0.0.1]:{port} {other}", "127.1"),
    ],
)
async def test_in_no_spelling_does_a_tasks_key_stand_for_a_known_host(
    run: Caller, target: InProcess, known: str, host: str
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    target.known_hosts.write_text(known.format(port=target.port, other=other))
    found = await run.refused(host=host, host_key=target.host_key)
    assert (found.error.type, is_transient(found)) == ("HostKeyRefused", False)
    assert target.channels == []


async def test_a_tasks_key_does_not_stand_for_a_host_with_a_known_authority(
    run: Caller, target: InProcess
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    target.known_hosts.write_text(f"@cert-authority *host {other}")
    await run.refused(host="LocalHost", host_key=target.host_key)
    assert target.channels == []


@pytest.mark.parametrize(
    ("known", "host"),
    [
        ("127.0.0.1 {other}", "localhost"),
        ("[127.0.0.1]:{port} {other}", "localhost"),
        ("127.0.0.0/8 {other}", "localhost"),
        ("[localhost]:1 {other}", "localhost"),
        ("localhost no-such-kind AAAA", "localhost"),
        ("|1|c2FsdA==|TkEgcotGO5ycYWKTXKlrs0Rz/4U= {other}", "localhost"),
    ],
)
async def test_a_tasks_key_does_not_count_for_a_host_that_is_known_in_another_way(
    run: Caller, target: InProcess, known: str, host: str
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    target.known_hosts.write_text(known.format(port=target.port, other=other))
    found = await run.refused(host=host, host_key=target.host_key)
    assert found.error.type == "InvalidInput"
    assert "host_key does not count here" in found.error.message
    assert target.connections == 0


async def test_an_exception_from_a_pattern_holds_in_every_spelling(
    run: Caller, target: InProcess
) -> None:
    target.known_hosts.write_text(f"*,!localhost,![localhost]:{target.port} {target.host_key}")
    for host in ("LOCALHOST", "localhost."):
        assert (await run.refused(host=host)).error.type == "InvalidInput"
    assert (await run("echo in", host="LOCALHOST", host_key=target.host_key))["stdout"] == "in\n"


@pytest.mark.parametrize("revoked", ["localhost", "*", "[localhost]:1", "elsewhere"])
async def test_a_revoked_key_is_taken_from_nobody(
    run: Caller, target: InProcess, revoked: str
) -> None:
    target.known_hosts.write_text(f"@revoked {revoked} {target.host_key}\n")
    found = await run.refused(host="LocalHost", host_key=target.host_key)
    assert "revoked" in found.error.message
    assert target.connections == 0
    with target.known_hosts.open("a") as file:
        file.write(f"[localhost]:{target.port} {target.host_key}\n")
    assert (await run.refused(host="localhost")).error.type == "HostKeyRefused"


async def test_the_name_is_what_the_host_key_is_known_for(run: Caller, target: InProcess) -> None:
    target.known_hosts.write_text(f"[localhost]:{target.port} {target.host_key}")
    assert (await run("echo in", host="localhost"))["host"] == "localhost"
    assert (await run.refused()).error.type == "InvalidInput"


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "[::1]", "169.254.169.254", "0x0a.1"])
async def test_only_public_or_allowed_places_are_reached(
    run: Caller, target: InProcess, host: str
) -> None:
    found = await run.refused(host=host, host_key=target.host_key)
    assert (found.error.type, is_transient(found)) == ("TargetRefused", False)
    assert target.connections == 0


async def test_a_host_that_is_away_is_transient(run: Caller, target: InProcess) -> None:
    with target.known_hosts.open("a") as file:
        file.write(f"[127.0.0.1]:1 {target.host_key}\n")
    assert is_transient(await run.refused(port=1))
    target.refuse = 1
    assert is_transient(await run.refused())


async def test_a_secret_reaches_the_command_and_no_result(run: Caller, target: InProcess) -> None:
    found = await run('echo "$T"', env={"T": {"$secret": "TOKEN"}})
    assert found["stdout"] == "[secret TOKEN]\n"
    assert not any(CANARY in line for line in target.channels)
    found = await run('test "$T" = canary-7f3a9c51 && echo same', env={"T": {"$secret": "TOKEN"}})
    assert found["stdout"] == "same\n"


async def test_a_secret_for_another_host_is_not_sent(run: Caller, target: InProcess) -> None:
    found = await run.refused(env={"T": {"$secret": "ELSEWHERE"}})
    assert "may not be sent to this host" in found.error.message
    assert target.connections == 0


async def test_commands_share_a_connection(run: Caller, target: InProcess) -> None:
    for _ in range(5):
        await run("echo")
    assert target.connections == 1


async def test_many_commands_at_once_share_a_few(run: Caller, target: InProcess) -> None:
    one = call(SSH, run.inputs("sleep 0.3"))
    calls = [structs.replace(one, idempotency_key=f"key-{n}") for n in range(12)]
    found = await asyncio.gather(
        *(invoke(run.registry, each, asyncio.to_thread, run.shared) for each in calls)
    )
    assert all(isinstance(each, Returned) for each in found), found
    assert target.connections == 3


async def test_output_is_told_while_it_runs(run: Caller, target: InProcess) -> None:
    port = Port()
    running = run.begin(LONG, port)
    await until(lambda: (0.0, "begun") in port.progressed)
    let_go()
    assert isinstance(await running, Raised)


async def test_what_is_too_long_is_cut_and_says_so(run: Caller) -> None:
    found = await run("head -c 3000000 /dev/zero | tr '\\0' x; echo short >&2")
    assert (len(found["stdout"]), found["stdout_truncated"]) == (1 << 20, True)
    assert found["stderr"] == "short\n"
    assert "stderr_truncated" not in found


async def test_a_command_that_writes_for_ever_is_ended(
    run: Caller, target: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aipartnerupflow.adapters.executors.ssh.job._LIMITS", (1_000, 100_000))
    found = await run.refused("while :; do echo too much; done")
    assert found.error.message == "ended by force: it wrote too much"
    assert target.folders == []


def lives(pid: int) -> bool:
    """Zombies do not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


STUBBORN = "trap '' TERM; echo $$ >pids; (sleep 60 & echo $! >>pids; wait) & wait; sleep 60"


def pids() -> list[int]:
    path = Path("pids")
    return [int(line) for line in path.read_text().split()] if path.exists() else []


async def test_a_timeout_ends_the_whole_group(run: Caller, target: InProcess) -> None:
    found = await run.refused(STUBBORN, timeout=0.5)
    assert found.error.message == "ended by force after 0.5 s"
    assert len(pids()) == 2
    assert not any(map(lives, pids()))
    assert target.folders == []


async def test_a_cancel_ends_the_whole_group(run: Caller, target: InProcess) -> None:
    running = run.begin(STUBBORN)
    await until(lambda: len(pids()) == 2)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not any(map(lives, pids()))
    assert target.folders == []


async def test_a_group_is_asked_to_end_before_it_is_killed(run: Caller) -> None:
    command = "trap 'echo asked >asked; exit' TERM; touch begun; sleep 60 & wait"
    running = run.begin(command)
    await until(lambda: Path("begun").exists())
    running.cancel()
    await asyncio.wait([running])
    assert read("asked") == "asked\n"


async def test_a_far_side_that_cannot_keep_commands_is_final(
    run: Caller, target: InProcess
) -> None:
    (target.home / ".local").write_text("a file")
    found = await run.refused("touch begun")
    assert (found.error.type, is_transient(found)) == ("Unsuitable", False)
    target.before = "exit 5; "
    found = await run.refused("touch begun")
    assert (found.error.type, is_transient(found)) == ("Unsuitable", False)
    assert not exists("begun")


async def test_a_command_outlives_a_lost_connection_and_none_of_its_output_is_lost(
    run: Caller, target: InProcess
) -> None:
    running = run.begin(LONG)
    await until(lambda: target.folders)
    await asyncio.sleep(0.3)
    target.cut()
    await asyncio.sleep(0.3)
    let_go()
    found = await running
    said = detail(found)
    assert (said["stdout"], said["return_code"]) == ("begun\nwent\n", 3)
    assert target.connections >= 2
    assert target.folders == []


async def lost(run: Caller, target: InProcess, command: str = LONG) -> None:
    """Begin a command, and then lose the engine with all its connections."""
    running = run.begin(command)
    await until(lambda: Path("begun").exists())

    async def nothing(self: Any) -> None:
        await asyncio.sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aipartnerupflow.adapters.executors.ssh.job.Job.end", nothing)
        running.cancel()
        await asyncio.wait([running])
    await run.shared.close()
    run.shared = Shared()


async def again(run: Caller, command: str = LONG, port: Port | None = None) -> Outcome:
    return await run.outcome(run.inputs(command, timeout=60), reattach=True, port=port or Port())


BEGINS = f"touch begun; {LONG}"


async def test_a_running_command_is_found_again(run: Caller, target: InProcess) -> None:
    await lost(run, target, BEGINS)
    port = Port()
    waiting = asyncio.ensure_future(again(run, BEGINS, port))
    await until(lambda: port.taken)
    let_go()
    found = await waiting
    said = detail(found)
    assert (said["stdout"], said["return_code"]) == ("begun\nwent\n", 3)
    assert target.folders == []


async def test_a_finished_command_is_collected(run: Caller, target: InProcess) -> None:
    await lost(run, target, BEGINS)
    let_go()
    (folder,) = (target.home / ".local/state/apflow/ssh").iterdir()
    await until(lambda: (folder / "code").exists())
    found = await again(run, BEGINS)
    assert detail(found)["stdout"] == "begun\nwent\n"
    assert target.folders == []


async def test_one_that_was_never_begun_is_gone(run: Caller, target: InProcess) -> None:
    assert await again(run) == Gone()
    assert target.folders == []


async def test_one_that_was_killed_meanwhile_is_gone(run: Caller, target: InProcess) -> None:
    await lost(run, target, BEGINS)
    (folder,) = (target.home / ".local/state/apflow/ssh").iterdir()
    group = int((folder / "group").read_text().split()[0])
    os.killpg(group, 9)
    await until(lambda: not lives(group))
    assert await again(run, BEGINS) == Gone()
    assert target.folders == []


async def test_one_of_another_attempt_is_not_taken_for_this_one(
    run: Caller, target: InProcess
) -> None:
    await lost(run, target, BEGINS)
    other = structs.replace(call(SSH, run.inputs(BEGINS), reattach=True, port=Port()), attempt=3)
    assert await invoke(run.registry, other, asyncio.to_thread, run.shared) == Gone()
    let_go()
    assert isinstance(await again(run, BEGINS), Raised)


async def test_a_command_that_was_found_again_can_be_cancelled(
    run: Caller, target: InProcess
) -> None:
    await lost(run, target, BEGINS)
    port = Port()
    waiting = asyncio.ensure_future(again(run, BEGINS, port))
    await until(lambda: port.taken)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert target.folders == []


async def test_while_its_host_is_away_a_command_is_not_given_up(
    run: Caller, target: InProcess
) -> None:
    await lost(run, target, BEGINS)
    target.refuse = 2
    let_go()
    found = await again(run, BEGINS)
    assert detail(found)["stdout"] == "begun\nwent\n"


async def test_while_its_host_lets_nobody_in_a_command_is_not_given_up(
    run: Caller, target: InProcess
) -> None:
    await lost(run, target, BEGINS)
    target.lets_in = False
    port = Port()
    waiting = asyncio.ensure_future(again(run, BEGINS, port))
    await until(lambda: port.taken)
    let_go()
    await asyncio.sleep(0.3)
    assert not waiting.done()
    target.lets_in = True
    assert detail(await waiting)["stdout"] == "begun\nwent\n"
    assert target.folders == []


async def test_a_host_that_lets_nobody_in_for_too_long_is_told(
    run: Caller, target: InProcess
) -> None:
    await lost(run, target, BEGINS)
    target.lets_in = False
    found = await run.outcome(run.inputs(BEGINS, timeout=0.5), reattach=True, port=Port())
    assert isinstance(found, Raised)
    assert found.error.type == "LoginRefused"


@pytest.mark.parametrize("before", ["exit 1; ", "echo apflow-begins; exit 1; ", "cat; exit 1; "])
async def test_a_shell_that_does_not_look_has_not_said_that_a_command_is_gone(
    run: Caller, target: InProcess, before: str
) -> None:
    await lost(run, target, BEGINS)
    target.before = before
    found = await again(run, BEGINS)
    assert isinstance(found, Raised), found


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("sleep 20; ", "does not answer in time"),
        ("head -c 50000000 /dev/zero; ", "says too much"),
        ("echo apflow-begins; head -c 50000000 /dev/zero; ", "says too much"),
        ("head -c 50000000 /dev/zero >&2; exit 1; ", "gives no answer"),
    ],
)
async def test_what_a_host_answers_is_bounded(
    target: InProcess, monkeypatch: pytest.MonkeyPatch, before: str, why: str
) -> None:
    monkeypatch.setattr("aipartnerupflow.adapters.executors.ssh.job.ANSWER", 3.0)
    login = Login(
        host="127.0.0.1", port=target.port, username=USER, password=PASSWORD,
        known_hosts=target.known_hosts.read_text(),
    )  # fmt: skip
    connections, guard = Connections(), Guard(["127.0.0.1"])
    target.before = before
    job = Job(lambda: connections.use(login, guard), "a-name", lambda _: None)
    with pytest.raises(Unreachable, match=why):
        await job.find()
    target.before = "echo hello; "
    assert await job.find() is False
    assert target.connections == 1
    await connections.close()


@pytest.mark.parametrize(
    "more",
    [
        {"key_file": None},
        {"password": {"$secret": "PASSWORD"}, "key": {"$secret": "KEY"}},
        {"key": {"$secret": "TOKEN"}},
        {"username": "a b"},
        {"env": {"A B": "x"}},
        {"env": {"A": "x\0y"}},
        {"stdin": "\0"},
        {"timeout": 0},
        {"timeout": True},
        {"host_key": "no key", "host": "localhost"},
    ],
)
async def test_inputs_that_make_no_sense_reach_nothing(
    run: Caller, target: InProcess, more: dict[str, Any]
) -> None:
    assert (await run.refused(**more)).error.type == "InvalidInput"
    assert target.connections == 0


def test_no_command_is_repeated_without_being_asked(run: Caller) -> None:
    assert run.registry.safe(call(SSH, {"host": "h", "command": "ls"})) is False


async def test_greetings_of_the_users_shell_are_no_output(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with InProcess(tmp_path / "greeting").running() as target:
        target.before = "echo hello; echo hello >&2; "
        settings |= {
            "APFLOW_SSH_KNOWN_HOSTS": target.known_hosts,
            "APFLOW_SSH_KEY_ROOTS": (str(target.key_file.parent),),
        }
        run = Caller(settings, target)
        found = await run("echo out; echo err >&2")
        assert (found["stdout"], found["stderr"]) == ("out\n", "err\n")
        await run.shared.close()


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of the server in this process begin in its working directory."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
