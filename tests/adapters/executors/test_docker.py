"""`docker_executor` against a fake engine on a unix socket; tests/executors has a real one."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw, json, structs

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.docker.engine import Frames
from aipartnerupflow.adapters.executors.docker.images import allows
from aipartnerupflow.adapters.executors.inventory import describe
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.engine.ports import Gone, Outcome, Raised, Returned
from tests.adapters.executors.calls import Port, call
from tests.support.docker_fake import Container, FakeEngine
from tests.support.places import until

DOCKER = "docker_executor"
CANARY = "canary-7f3a9c51"
KEPT = 1 << 20


@pytest.fixture
def path() -> Iterator[Path]:
    """Short: a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="apflow-") as folder:
        yield Path(folder) / "docker.sock"


@pytest.fixture
async def engine(path: Path) -> AsyncIterator[FakeEngine]:
    async with FakeEngine(path).serving() as found:
        yield found


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("seen", "changed", "secret"):
        (tmp_path / name / "in").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def settings(path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("TOKEN", CANARY)
    return {
        "APFLOW_DOCKER_ENABLED": True,
        "APFLOW_DOCKER_SOCKET": path,
        "APFLOW_DOCKER_ROOTS": (f"{folders}/seen", f"{folders}/changed:rw"),
        "APFLOW_DOCKER_NETWORKS": ("backend", "host"),
        "APFLOW_SECRETS": {"TOKEN": {"source": "env", "executors": [DOCKER]}},
    }


class Caller:
    """Runs containers as tasks of one engine do."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.shared = Shared()
        self.settings = settings
        self.registry = Registry()
        self.registry.configure(settings)

    async def outcome(self, inputs: dict[str, Any], **of: Any) -> Outcome:
        made = call(DOCKER, {"image": "test:busybox", **inputs}, **of)
        return await invoke(self.registry, made, asyncio.to_thread, self.shared)

    async def __call__(self, **inputs: Any) -> dict[str, Any]:
        found = await self.outcome(inputs)
        assert isinstance(found, Returned), found
        result: dict[str, Any] = json.decode(found.result)
        return result

    async def refused(self, **inputs: Any) -> Raised:
        found = await self.outcome(inputs)
        assert isinstance(found, Raised), found
        return found

    def begin(self, port: Port | None = None, **inputs: Any) -> "asyncio.Task[Outcome]":
        return asyncio.ensure_future(self.outcome({"timeout": 60, **inputs}, port=port or Port()))

    async def again(self, port: Port | None = None, **inputs: Any) -> Outcome:
        return await self.outcome({"timeout": 60, **inputs}, port=port or Port(), reattach=True)


@pytest.fixture
async def run(settings: dict[str, Any], engine: FakeEngine) -> AsyncIterator[Caller]:
    made = Caller(settings)
    yield made
    await made.shared.close()


def detail(found: Outcome) -> Any:
    assert isinstance(found, Raised), found
    assert isinstance(found.error.detail, Raw), found
    return json.decode(found.error.detail)


def is_transient(found: Raised) -> bool:
    return "TransientError" in (found.error.type, *found.error.bases)


class Hanging:
    """A program that begins, and ends when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, container: Container) -> int:
        await container.write("begun\n")
        await self.go.wait()
        await container.write("went\n", 2)
        return 3


@pytest.fixture
def hanging(engine: FakeEngine) -> Hanging:
    made = Hanging()
    engine.program = made
    return made


async def test_a_container_runs_and_its_log_comes_back(run: Caller, engine: FakeEngine) -> None:
    found = await run(command="echo 42")
    assert found == {
        "success": True, "container_id": f"{1:064x}", "logs": "42\n", "exit_code": 0,
        "image": "test:busybox", "command": "echo 42",
    }  # fmt: skip
    assert engine.containers == {}


async def test_it_is_shut_in(run: Caller, engine: FakeEngine, folders: Path) -> None:
    await run(
        command=["sh", "-c", "ls; id"], env={"A": "b c"}, working_dir="/w",
        volumes={f"{folders}/seen/in": "/in", f"{folders}/changed": "/out:rw"},
        resources={"cpu": 0.5, "memory": "64m"},
    )  # fmt: skip
    (made,) = engine.made
    bind = {"Type": "bind", "BindOptions": {"Propagation": "rprivate"}}
    assert made.name == "apflow-the-key-2"
    assert made.spec == {
        "Image": "test:busybox", "Cmd": ["sh", "-c", "ls; id"], "WorkingDir": "/w",
        "Env": ["A=b c", "APFLOW_IDEMPOTENCY_KEY=the-key"], "Tty": False, "OpenStdin": False,
        "Labels": {
            "apflow.tree": "root", "apflow.task": "a-task", "apflow.generation": "1",
            "apflow.attempt": "2", "apflow.key": "the-key",
        },
        "HostConfig": {
            "NetworkMode": "none", "Privileged": False, "PidsLimit": 512, "AutoRemove": False,
            "SecurityOpt": ["no-new-privileges"], "CapDrop": ["MKNOD", "NET_RAW"],
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "64m", "max-file": "2"}},
            "NanoCpus": 500_000_000, "Memory": 64 << 20, "MemorySwap": 64 << 20,
            "Mounts": [
                {**bind, "Source": f"{folders}/seen/in", "Target": "/in", "ReadOnly": True},
                {**bind, "Source": f"{folders}/changed", "Target": "/out", "ReadOnly": False},
            ],
        },
    }  # fmt: skip


async def test_it_is_off_until_the_operator_switches_it_on(run: Caller, engine: FakeEngine) -> None:
    run.registry.configure({**run.settings, "APFLOW_DOCKER_ENABLED": False})
    found = await run.refused()
    assert found.error.type == "ExecutorDisabled"
    assert "APFLOW_DOCKER_ENABLED=true" in found.error.message
    assert engine.asked == []
    info = describe(run.registry, DOCKER)
    assert (info.enabled, "APFLOW_DOCKER_ENABLED=true" in info.advice) == (False, True)


@pytest.mark.parametrize(
    "volumes",
    [
        {"{}/secret": "/in"},
        {"{}/seen/../secret": "/in"},
        {"{}/seen/link": "/in"},
        {"{}/seen": "/in:rw"},
        {"{}/seenelse": "/in"},
        {"/": "/in"},
        {"seen": "/in"},
        {"{}/seen/some.sock": "/in"},
    ],
)
async def test_it_sees_only_what_the_operator_allows(
    run: Caller, engine: FakeEngine, folders: Path, volumes: dict[str, str]
) -> None:
    (folders / "seen" / "link").symlink_to(folders / "secret")
    with socket.socket(socket.AF_UNIX) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folders / "seen")
        made.bind("some.sock")
        patch.chdir(folders)
        given = {source.format(folders): target for source, target in volumes.items()}
        assert (await run.refused(volumes=given)).error.type == "ExecutorDisabled"
    assert engine.asked == []


async def test_the_engines_socket_is_in_no_volume(
    run: Caller, engine: FakeEngine, path: Path
) -> None:
    run.registry.configure({**run.settings, "APFLOW_DOCKER_ROOTS": ("/",)})
    found = await run.refused(volumes={str(path.parent): "/in"})
    assert "a socket" in found.error.message
    assert engine.asked == []


async def test_below_a_folder_that_containers_may_change_nothing_is_shown(
    run: Caller, engine: FakeEngine, folders: Path
) -> None:
    roots = (f"{folders}/changed:rw", f"{folders}/changed/in", f"{folders}/seen")
    run.registry.configure({**run.settings, "APFLOW_DOCKER_ROOTS": roots})
    (folders / "seen" / "link").symlink_to(folders / "changed" / "in")
    for source in ("changed/in", "seen/link"):
        for target in ("/in", "/in:rw"):
            found = await run.refused(volumes={f"{folders}/{source}": target})
            assert found.error.type == "ExecutorDisabled", (source, target)
    found = await run.refused(volumes={f"{folders}/changed/in": "/in"})
    assert "could be replaced by them" in found.error.message
    assert engine.asked == []
    assert (await run(volumes={f"{folders}/changed": "/in:rw"}))["success"]


@pytest.mark.parametrize("kind", ["link", "folder"])
@pytest.mark.parametrize("moment", ["POST /images/create", "POST /containers/create"])
async def test_a_volume_that_is_replaced_before_the_start_is_refused(
    run: Caller, engine: FakeEngine, folders: Path, moment: str, kind: str
) -> None:
    source = folders / "seen" / "in"
    engine.delay[moment] = 0.3
    running = run.begin(image="busybox", volumes={str(source): "/in"})
    await until(lambda: moment in engine.asked)
    source.rename(folders / "moved")
    if kind == "link":
        source.symlink_to(folders / "secret")
    else:
        source.mkdir()
    found = await running
    assert isinstance(found, Raised)
    assert (found.error.type, is_transient(found)) == ("ExecutorDisabled", False)
    assert not any(line.endswith("/start") for line in engine.asked)
    assert engine.containers == {}


@pytest.mark.parametrize("network", ["host", "bridge", "container:x", "default", ""])
async def test_it_joins_no_network_but_an_allowed_one(
    run: Caller, engine: FakeEngine, network: str
) -> None:
    assert (await run.refused(network=network)).error.type == "ExecutorDisabled"
    assert engine.asked == []
    await run(network="backend")
    assert engine.made[0].spec["HostConfig"]["NetworkMode"] == "backend"


async def test_only_images_that_are_allowed_are_run(run: Caller, engine: FakeEngine) -> None:
    run.registry.configure({**run.settings, "APFLOW_DOCKER_IMAGES": ("test:*", "b?sybox")})
    assert (await run())["success"]
    assert (await run.refused(image="evil/test:busybox")).error.type == "ExecutorDisabled"


@pytest.mark.parametrize(
    ("pattern", "matched", "not_matched"),
    [
        ("alpine*", "alpine:3.22", "alpine.evil.example/x"),
        ("python:3*", "python:3.13-slim", "python:3000/evil/img"),
        ("team*", "team:1", "team/x"),
        ("*", "alpine:3", "evil.example/x"),
        ("*", "alpine:3", "library/alpine"),
        ("intranet*/*", "intranet/app", "INTRANET/app"),
        ("localhost/*", "localhost/a/b:1", "local/a"),
        ("*/*", "team/app/x", "localhost/app"),
        ("team/*", "team/app:1", "teams/app:1"),
        ("registry.example.com/*", "registry.example.com/a/b:1", "registry.example.com.evil.tld/a"),
        ("registry.example.com/team/*", "registry.example.com/team/a/b", "registry.example.com/b"),
        ("registry.example.com/*:1", "registry.example.com/app:1", "registry.example.com/a/b:1"),
        ("*.example.com/app", "eu.example.com/app", "evil.tld/example.com/app"),
    ],
)
def test_a_pattern_of_images_names_their_registry(
    pattern: str, matched: str, not_matched: str
) -> None:
    assert allows(pattern, matched)
    assert not allows(pattern, not_matched)


async def test_an_image_that_is_missing_is_fetched(run: Caller, engine: FakeEngine) -> None:
    assert (await run(image="busybox"))["success"]
    assert engine.asked[:2] == ["GET /images/busybox/json", "POST /images/create"]
    await run(image="busybox")
    assert engine.asked.count("POST /images/create") == 1
    await run(image="busybox", pull="always")
    assert engine.asked.count("POST /images/create") == 2


async def test_an_image_that_there_is_not_is_final(run: Caller, engine: FakeEngine) -> None:
    found = await run.refused(image="nobodys")
    assert (found.error.message, is_transient(found)) == ("the registry has no such image", False)
    found = await run.refused(image="busybox", pull="never")
    assert "`pull` says not to fetch it" in found.error.message
    assert engine.made == []


@pytest.mark.parametrize(
    "image", ["10.0.0.1:5000/x", "localhost/x", "169.254.169.254/x:y", "LOCALHOST/x"]
)
async def test_no_image_is_fetched_from_a_place_that_is_not_public(
    run: Caller, engine: FakeEngine, image: str
) -> None:
    assert (await run.refused(image=image)).error.type == "TargetRefused"
    assert not any(line.startswith("POST") for line in engine.asked)
    engine.images.add(image)
    assert (await run(image=image))["success"], "it is there already"


async def test_an_exit_code_fails_the_task_unless_it_is_accepted(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    hanging.go.set()
    found = await run.refused()
    assert found.error.message == "exit_code 3"
    assert detail(found)["logs"] == "begun\nwent\n"
    assert isinstance(await run.outcome({}, accept=(3,)), Returned)


async def test_too_little_memory_is_told(run: Caller, engine: FakeEngine) -> None:
    async def eats(container: Container) -> int:
        container.oom = True
        return 137

    engine.program = eats
    found = await run.refused()
    assert found.error.message == "it needed more memory than it was given"
    assert detail(found)["exit_code"] == 137


@pytest.mark.parametrize("slice", [1, 3, 8, 9, 1 << 16])
def test_a_log_is_taken_apart_wherever_it_is_cut(slice: int) -> None:
    texts = [b"one\n", b"", b"t" * 300, b"three"]
    log = b"".join(bytes([2, 0, 0, 0]) + len(text).to_bytes(4, "big") + text for text in texts)
    frames = Frames()
    found = [frames.feed(log[at : at + slice]) for at in range(0, len(log), slice)]
    assert b"".join(piece for pieces in found for piece in pieces) == b"".join(texts)


async def test_its_log_is_told_while_it_runs(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    port = Port()
    running = run.begin(port)
    await until(lambda: (0.0, "begun") in port.progressed)
    hanging.go.set()
    await running


async def test_of_a_long_log_its_beginning_is_kept(run: Caller, engine: FakeEngine) -> None:
    async def long(container: Container) -> int:
        for _ in range(40):
            await container.write(b"x" * 30_000)
        return 0

    engine.program = long
    found = await run()
    assert (len(found["logs"]), found["logs_truncated"]) == (KEPT, True)


async def test_where_a_log_is_cut_no_part_of_a_secret_stays(
    run: Caller, engine: FakeEngine
) -> None:
    async def long(container: Container) -> int:
        await container.write(b"x" * (KEPT - 6))
        await container.write(CANARY.encode())
        return 0

    engine.program = long
    found = await run(env={"T": {"$secret": "TOKEN"}})
    assert found["logs"] == "x" * (KEPT - 6) + "[secret TOKEN]"


async def test_one_that_writes_for_ever_is_ended(
    run: Caller, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def floods(container: Container) -> int:
        while True:
            await container.write(b"x" * 1_000)
            await asyncio.sleep(0)

    engine.program = floods
    monkeypatch.setattr("aipartnerupflow.adapters.executors.docker.job.MAX_FLOOD", 100_000)
    found = await run.refused()
    assert found.error.message == "ended by force: it wrote too much"
    assert engine.containers == {}


async def test_a_timeout_kills_and_removes_it(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    found = await run.refused(timeout=0.2)
    assert found.error.message == "ended by force after 0.2 s"
    assert detail(found)["logs"] == "begun\n"
    assert engine.containers == {}
    assert engine.made[0].code == 137


async def test_a_cancel_kills_and_removes_it(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    running = run.begin()
    await until(lambda: engine.running)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert engine.containers == {}


async def test_one_that_is_to_stay_is_killed_but_not_removed(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    await run.refused(timeout=0.2, remove=False)
    assert [each.state for each in engine.containers.values()] == ["exited"]


async def test_one_that_is_being_made_when_it_is_cancelled_is_removed(
    run: Caller, engine: FakeEngine
) -> None:
    engine.delay["POST /containers/create"] = 0.3
    running = run.begin()
    await until(lambda: "POST /containers/create" in engine.asked)
    running.cancel()
    await asyncio.wait([running])
    assert len(engine.made) == 1
    assert engine.containers == {}


async def test_one_that_cannot_start_is_removed(run: Caller, engine: FakeEngine) -> None:
    said = 'exec: "nothing-of-the-kind": executable file not found in $PATH'
    engine.fail("POST /containers/apflow-the-key-2/start", 400, said)
    found = await run.refused()
    assert (found.error.message, is_transient(found)) == (
        "the image has no such program", False,
    )  # fmt: skip
    assert engine.containers == {}


async def test_an_engine_that_is_away_or_busy_is_transient(
    run: Caller, engine: FakeEngine, path: Path
) -> None:
    engine.fail("GET /images", 503, "starting")
    assert is_transient(await run.refused())
    run.registry.configure({**run.settings, "APFLOW_DOCKER_SOCKET": path.with_name("none.sock")})
    found = await run.refused()
    assert is_transient(found)
    assert f"{path.with_name('none.sock')} (APFLOW_DOCKER_SOCKET)" in found.error.message


async def test_of_a_log_that_breaks_off_nothing_is_lost_or_told_twice(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    engine.cut_after = 10
    engine.slice = 5
    running = run.begin()
    await until(lambda: engine.asked.count("GET /containers/apflow-the-key-2/logs") == 2)
    hanging.go.set()
    assert detail(await running)["logs"] == "begun\nwent\n"


async def test_one_that_somebody_removes_is_lost(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    running = run.begin()
    await until(lambda: engine.running)
    engine.containers.clear()
    hanging.go.set()
    found = await running
    assert isinstance(found, Raised)
    assert found.error.type == "ContainerLost"


async def lost(run: Caller, engine: FakeEngine) -> None:
    """Begin a container, and then lose the engine of tasks with all its connections."""
    running = run.begin()
    await until(lambda: engine.running and engine.asked[-1].endswith("/logs"))

    async def nothing(self: Any, **more: Any) -> None:
        await asyncio.sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aipartnerupflow.adapters.executors.docker.job.Job.end", nothing)
        running.cancel()
        await asyncio.wait([running])
    await run.shared.close()
    run.shared = Shared()
    assert len(engine.containers) == 1


async def test_a_running_container_is_found_by_its_labels(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    await lost(run, engine)
    port = Port()
    waiting = asyncio.ensure_future(run.again(port))
    await until(lambda: port.taken)
    hanging.go.set()
    said = detail(await waiting)
    assert (said["logs"], said["exit_code"]) == ("begun\nwent\n", 3)
    assert len(engine.made) == 1
    assert engine.containers == {}


async def test_one_that_has_ended_meanwhile_is_collected(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    await lost(run, engine)
    hanging.go.set()
    await until(lambda: not engine.running)
    said = detail(await run.again())
    assert (said["logs"], said["container_id"]) == ("begun\nwent\n", f"{1:064x}")
    assert engine.containers == {}


async def test_one_that_was_never_made_is_gone(run: Caller) -> None:
    assert await run.again() == Gone()


async def test_one_that_was_made_but_never_started_is_removed(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    await lost(run, engine)
    (container,) = engine.containers.values()
    container.state = "created"
    assert await run.again() == Gone()
    assert engine.containers == {}


async def test_one_of_another_attempt_is_not_taken_for_this_one(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    await lost(run, engine)
    other = call(DOCKER, {"image": "test:busybox"}, reattach=True, port=Port())
    for changed in (structs.replace(other, attempt=3), structs.replace(other, generation=2)):
        assert await invoke(run.registry, changed, asyncio.to_thread, run.shared) == Gone()
    assert engine.running == 1


async def test_one_that_was_found_again_can_be_cancelled(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    await lost(run, engine)
    port = Port()
    waiting = asyncio.ensure_future(run.again(port))
    await until(lambda: port.taken)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert engine.containers == {}


async def test_while_no_engine_answers_a_container_is_not_given_up(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    await lost(run, engine)
    engine.fail("GET /containers/json", 503, "starting")
    engine.fail("GET /containers/apflow-the-key-2/logs", 503, "starting", times=2)
    hanging.go.set()
    assert detail(await run.again())["logs"] == "begun\nwent\n"


async def test_while_an_engine_cannot_tell_a_container_is_not_given_up(
    run: Caller, engine: FakeEngine, hanging: Hanging
) -> None:
    await lost(run, engine)
    engine.fail("GET /containers/json", 500, "layer store is busy", times=3)
    hanging.go.set()
    assert detail(await run.again())["logs"] == "begun\nwent\n"
    assert len(engine.made) == 1


async def test_an_engine_that_never_tells_is_asked_until_the_timeout(
    run: Caller, engine: FakeEngine
) -> None:
    engine.fail("GET /containers/json", 500, "layer store is busy", times=100)
    found = await run.again(timeout=0.5)
    assert isinstance(found, Raised)
    assert found.error.message == "ended by force after 0.5 s"


async def test_one_that_was_not_there_once_the_engine_told_is_lost(
    run: Caller, engine: FakeEngine
) -> None:
    engine.fail("GET /containers/json", 500, "layer store is busy")
    found = await run.again()
    assert isinstance(found, Raised)
    assert found.error.type == "ContainerLost"


async def test_a_secret_reaches_the_container_and_no_result(
    run: Caller, engine: FakeEngine
) -> None:
    async def tells(container: Container) -> int:
        await container.write("\n".join(container.spec["Env"]))
        return 0

    engine.program = tells
    found = await run(env={"T": {"$secret": "TOKEN"}})
    assert f"T={CANARY}" in engine.made[0].spec["Env"]
    assert found["logs"].startswith("T=[secret TOKEN]\n")


@pytest.mark.parametrize("command", [["echo", {"$secret": "TOKEN"}], {"$secret": "TOKEN"}])
async def test_a_secret_is_no_word_of_a_command(
    run: Caller, engine: FakeEngine, command: Any
) -> None:
    found = await run.refused(command=command)
    assert found.error.type == "InvalidInput"
    assert "in `env`" in found.error.message
    assert CANARY not in found.error.message
    assert engine.asked == []


@pytest.mark.parametrize(
    "inputs",
    [
        {"image": "a b"},
        {"image": "../x"},
        {"image": "a/../x"},
        {"command": "echo 'x"},
        {"command": []},
        {"env": {"A=B": "x"}},
        {"env": {"A": "x\0y"}},
        {"volumes": {"/seen": "in"}},
        {"volumes": {"/seen": "/"}},
        {"resources": {"cpu": 0}},
        {"resources": {"cpu": "many"}},
        {"resources": {"memory": "1m"}},
        {"resources": {"memory": "lots"}},
        {"pull": "sometimes"},
        {"timeout": 0},
        {"timeout": True},
    ],
)
async def test_inputs_that_make_no_sense_reach_nothing(
    run: Caller, engine: FakeEngine, inputs: dict[str, Any]
) -> None:
    assert (await run.refused(**inputs)).error.type == "InvalidInput"
    assert engine.asked == []


def test_no_container_is_repeated_without_being_asked(settings: dict[str, Any]) -> None:
    assert Caller(settings).registry.safe(call(DOCKER, {"image": "x"})) is False
