"""Which executors there are."""

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from aipartnerupflow.adapters.executors import (
    BaseTask,
    Registry,
    executor_register,
)
from aipartnerupflow.adapters.executors.builtin import BUILTIN
from aipartnerupflow.adapters.executors.loading import load
from aipartnerupflow.adapters.executors.origins import _BRINGS
from aipartnerupflow.domain.decide.submission import Lacking
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.engine.ports import Executors
from tests.adapters.executors.calls import call, error, raw, result

BUILT_IN = [
    "aggregate_results_executor", "apflow_api_executor", "command_executor", "docker_executor",
    "grpc_executor", "mcp_executor", "rest_executor", "signal", "ssh_executor",
    "system_info_executor", "wait", "websocket_executor",
]  # fmt: skip


def executor(id: str, gives: Any = None, qualname: str | None = None) -> type[BaseTask]:
    async def execute(self: BaseTask, inputs: dict[str, Any]) -> Any:
        return gives

    body = {"id": id, "name": id, "execute": execute, "__module__": "somebodys.tasks"}
    return type(qualname or id.title(), (BaseTask,), body)


class Plugin:
    """An entry point, as importlib.metadata gives it."""

    def __init__(self, name: str, gives: Callable[[], Any]) -> None:
        self.name = name
        self.value = f"their.module:{name}"
        self.loaded = 0
        self._gives = gives
        self.dist = self

    def load(self) -> Any:
        self.loaded += 1
        return self._gives()


def broken() -> Any:
    raise ImportError("no module named theirs")


def test_it_is_what_the_engine_asks_for(registry: Registry) -> None:
    executors: Executors = registry
    assert executors.ids() == BUILT_IN


def test_ids_and_modules_are_told(registry: Registry) -> None:
    registry.register(executor("mine"))
    assert registry.ids() == sorted([*BUILT_IN, "mine"])
    assert registry.module_of("mine") == "somebodys.tasks"
    assert registry.module_of("command_executor") == ""
    assert registry.module_of("nobodys") is None
    with pytest.raises(KeyError):
        registry.kind("nobodys")


@pytest.mark.parametrize(
    ("id", "library", "extra"),
    [
        ("ssh_executor", "asyncssh", "ssh"),
        ("grpc_executor", "grpc", "grpc"),
        ("grpc_executor", "grpc_reflection", "grpc"),
        ("websocket_executor", "websockets", "websocket"),
        ("rest_executor", "httpx", "http"),
        ("docker_executor", "httpx", "docker"),
        ("apflow_api_executor", "httpx", "http"),
    ],
)
def test_a_built_in_executor_whose_library_is_missing_says_how_to_get_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, id: str, library: str, extra: str
) -> None:
    assert registry.module_of(id) == ""
    assert not isinstance(registry.module_of(id), Lacking)
    monkeypatch.setitem(sys.modules, library, None)
    lacking = registry.module_of(id)
    assert isinstance(lacking, Lacking)
    assert lacking == ""
    assert lacking.why == f"{id} needs {library}: pip install 'aipartnerupflow[{extra}]'"


def test_each_extra_of_a_built_in_executor_is_looked_for() -> None:
    assert {each.extra for each in BUILTIN if each.extra} == set(_BRINGS)


def test_a_script_cannot_be_imported_so_no_module_is_told(registry: Registry) -> None:
    cls = executor("mine")
    cls.__module__ = "__main__"
    registry.register(cls)
    assert registry.module_of("mine") in ("", "pytest.__main__")
    assert registry.kind("mine").module == "__main__"


def test_kinds_of_built_in_executors_are_those_of_their_classes(registry: Registry) -> None:
    for builtin in BUILTIN:
        before = registry.kind(builtin.kind.id)
        cls = load(f"aipartnerupflow.adapters.executors{builtin.path}")
        assert cls.id == builtin.kind.id
        registry.entry(builtin.kind.id)
        after = registry.kind(builtin.kind.id)
        told = ("id", "properties", "by_key", "limit", "runs")
        assert [getattr(before, name) for name in told] == [getattr(after, name) for name in told]
        assert registry.module_of(builtin.kind.id) == ""


async def test_the_first_of_an_id_stays(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.register(executor("mine", 1, "One"))
    registry.register(executor("mine", 2, "Two"))
    assert await result(registry, "mine") == 1
    assert "mine" in caplog.text
    assert "override=True" in caplog.text


async def test_with_override_the_last_of_an_id_counts(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.register(executor("mine", 1, "One"))
    registry.register(executor("mine", 2, "Two"), override=True)
    assert await result(registry, "mine") == 2
    assert not caplog.records


async def test_the_same_class_again_is_a_reload(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    registry.register(executor("mine", 1), pre_hook=lambda *_: calls.append("old"))
    registry.add_executor_hook("mine", "post_hook", lambda *_: calls.append("added"))
    registry.register(executor("mine", 2), pre_hook=lambda *_: calls.append("new"))
    assert await result(registry, "mine") == 2
    assert calls == ["new", "added"]
    assert not caplog.records


def test_a_built_in_executor_is_replaced_only_on_purpose(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.register(executor("command_executor"))
    assert "this package" in caplog.text
    assert registry.module_of("command_executor") == ""
    registry.register(executor("command_executor"), override=True)
    assert registry.module_of("command_executor") == "somebodys.tasks"
    registry.configure({})
    assert registry.module_of("command_executor") == "somebodys.tasks"


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"id": ""}, "class attribute"),
        ({"id": 3}, "class attribute"),
        ({"id": "no spaces"}, "class attribute"),
        ({"limit": 0}, "limit"),
        ({"limit": "2"}, "limit"),
        ({"limit": True}, "limit"),
        ({"runs": "thread"}, "runs"),
        ({"runs": "somewhere"}, "runs"),
        ({"execute": None}, "execute"),
        ({"inputs_schema": "oops"}, "Mine.inputs_schema is a JSON Schema, .* not a str"),
        ({"inputs_schema": [("type", "object")]}, "inputs_schema"),
        ({"inputs_schema": True}, "inputs_schema"),
    ],
)
def test_a_class_that_cannot_be_an_executor_is_refused(
    registry: Registry, attributes: dict[str, Any], says: str
) -> None:
    cls = executor("mine")
    for name, value in attributes.items():
        setattr(cls, name, value)
    with pytest.raises(InvalidInput, match=says):
        registry.register(cls)


async def test_a_factory_makes_the_instances(clean_default: Registry) -> None:
    def make(**params: Any) -> Any:
        made = Sized()
        made.size = params["size"] * 10
        return made

    @executor_register(factory=make)
    class Sized(BaseTask):
        id = "sized"
        name = "Sized"
        size = 0

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return self.size

    assert await result(clean_default, "sized", params={"size": 2}) == 20


async def test_the_decorator_works_without_brackets(clean_default: Registry) -> None:
    @executor_register
    class Bare:
        id = "bare"
        name = "Bare"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    assert Bare().id == "bare"
    assert await result(clean_default, "bare") == 1


async def test_installed_packages_are_looked_at_once_something_is_unknown() -> None:
    looked: list[int] = []
    theirs = Plugin("theirs", lambda: executor("theirs", 7))
    other = Plugin("other", lambda: executor("other"))

    def installed() -> list[Plugin]:
        looked.append(1)
        return [theirs, other]

    registry = Registry(installed=installed)
    registry.kind("command_executor")
    assert not looked
    assert await result(registry, "theirs") == 7
    assert registry.module_of("unknown") is None
    assert (looked, theirs.loaded, other.loaded) == ([1], 1, 0)
    assert registry.ids() == sorted([*BUILT_IN, "theirs", "other"])


@pytest.mark.parametrize(
    "gives", [broken, lambda: executor("another"), lambda: 3], ids=["import", "id", "no class"]
)
def test_a_broken_installed_package_is_named_and_left_out(
    caplog: pytest.LogCaptureFixture, gives: Callable[[], Any]
) -> None:
    good = Plugin("good", lambda: executor("good"))
    registry = Registry(installed=lambda: [Plugin("theirs", gives), good])
    with caplog.at_level(logging.WARNING):
        assert "good" in registry.ids()
    assert "theirs" not in registry.ids()
    assert "the installed package theirs" in caplog.text
    assert registry.module_of("theirs") is None
    assert len([record for record in caplog.records if "theirs" in record.getMessage()]) == 1


async def test_what_an_installed_package_registered_itself_is_not_replaced() -> None:
    def gives() -> Any:
        cls = executor("theirs", 1)
        registry.register(cls, lambda **_: executor("theirs", 2)())
        return cls

    registry = Registry(installed=lambda: [Plugin("theirs", gives)])
    assert await result(registry, "theirs") == 2


async def test_an_unknown_executor_fails_the_task_and_names_the_known(registry: Registry) -> None:
    found = await error(registry, "unknown")
    assert found.type == "executor_not_found"
    assert "system_info_executor" in found.message


async def test_an_executor_whose_schema_cannot_be_asked_for_runs_unchecked(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(BaseTask):
        id = "broken"
        name = "Broken"

        def get_input_schema(self) -> dict[str, Any]:
            raise OSError("gone")

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    registry.register(Broken)
    assert registry.violations("broken", raw({}), {"any": 1}) == ()
    assert registry.kind("broken").properties is None
    assert "broken" in caplog.text
    assert await result(registry, "broken") == 1


@pytest.mark.parametrize("schema", ["oops", 3, [1]])
async def test_so_does_one_whose_schema_is_none(
    registry: Registry, caplog: pytest.LogCaptureFixture, schema: Any
) -> None:
    cls = executor("mine", 1)
    cls.get_input_schema = lambda self: schema  # type: ignore[method-assign]
    registry.register(cls)
    assert registry.kind("mine").properties is None
    assert registry.violations("mine", raw({}), {"any": 1}) == ()
    assert f"not a {type(schema).__name__}" in caplog.text
    assert await result(registry, "mine") == 1


def test_a_model_that_has_no_json_schema_checks_all_the_same(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    class Takes(BaseModel):
        n: int
        call: Callable[[], int] | None = None

    cls = executor("mine")
    cls.inputs_schema = Takes
    registry.register(cls)
    assert registry.kind("mine").properties is None
    assert "mine" in caplog.text
    assert registry.violations("mine", raw({}), {"n": 1}) == ()
    assert registry.violations("mine", raw({}), {"n": "x"}) == ["/n: int_parsing"]


def test_importing_the_executors_imports_nothing_heavy() -> None:
    program = (
        "import sys; from msgspec import Raw\n"
        "from aipartnerupflow.adapters.executors import Registry, BaseTask\n"
        "r = Registry(installed=list)\n"
        "class A(BaseTask):\n"
        "    id = 'a'; name = 'A'\n"
        "    async def execute(self, inputs): return 1\n"
        "r.register(A)\n"
        "for id in r.ids(): r.kind(id)\n"
        "assert r.violations('a', Raw(b'{}'), {}) == ()\n"
        'assert r.schema_faults(Raw(b\'{"input_schema": {"type": "object"}}\')) == ()\n'
        "r.configure({'APFLOW_PRIVATE_TARGETS': (), 'APFLOW_COMMAND_ENABLED': False})\n"
        "heavy = {'jsonschema', 'pydantic', 'importlib.metadata', 'referencing',\n"
        "         'grpc', 'httpx', 'websockets'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


SAFE = {"url": "a", "method": "GET"}


async def test_an_executor_tells_from_its_inputs_whether_its_call_may_be_repeated(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    def says(self: Any, inputs: dict[str, Any]) -> Any:
        return inputs["method"] == "GET"

    def depends(self: Any, inputs: dict[str, Any]) -> Any:
        return self.task.key == "a"

    def late(self: Any, inputs: dict[str, Any]) -> Any:
        return "yes"

    def exits(self: Any, inputs: dict[str, Any]) -> Any:
        sys.exit(1)

    ways: dict[str, Any] = {
        "of_class": classmethod(says),
        "static": staticmethod(lambda inputs: says(None, inputs)),
        "of_instance": says,
        "of_task": depends,
        "unsure": lambda self, inputs: None,
        "not_bool": late,
        "broken": exits,
    }
    for id, way in ways.items():
        cls = executor(id)
        cls.safe_to_repeat = way  # type: ignore[method-assign]
        registry.register(cls)
    registry.register(executor("silent"))
    ids = [*ways, "silent", "unknown"]
    assert {id: registry.safe(call(id, SAFE)) for id in ids} == {
        "of_class": True, "static": True, "of_instance": True, "of_task": True, "unsure": None,
        "not_bool": None, "broken": None, "silent": None, "unknown": None,
    }  # fmt: skip
    for id in ("not_bool", "broken"):
        assert f"safe_to_repeat of executor {id} failed" in caplog.text
    assert registry.safe(call("of_class", {"method": "POST"})) is False
    assert registry.safe(call("of_class", {})) is None


def test_an_executor_without_our_base_may_tell_too(registry: Registry) -> None:
    class Plain:
        id = "plain"
        name = "Plain"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    registry.register(Plain)
    assert registry.safe(call("plain")) is None
    Plain.safe_to_repeat = lambda self, inputs: True  # type: ignore[attr-defined]
    assert registry.safe(call("plain")) is True


@pytest.mark.parametrize(
    ("id", "safe"),
    [
        ("system_info_executor", True),
        ("aggregate_results_executor", True),
        ("command_executor", None),
        ("wait", None),
        ("signal", None),
    ],
)
def test_built_in_executors_that_only_read_may_be_repeated(
    registry: Registry, id: str, safe: bool | None
) -> None:
    assert registry.safe(call(id)) is safe
