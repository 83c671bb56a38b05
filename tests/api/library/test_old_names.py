"""Names of an older interface say what to use instead."""

import importlib
import importlib.util
import re
import sys

import pytest

import aipartnerupflow
from aipartnerupflow.api.library.nodes import TaskTreeNode
from aipartnerupflow.api.library.old_names import _ADVICE, _MEMBERS, _MODULES
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain import errors


@pytest.mark.parametrize("name", sorted(_ADVICE))
def test_an_old_name_answers_with_advice(name: str) -> None:
    with pytest.raises(ImportError, match=f"has no '{name}': .*"):
        getattr(aipartnerupflow, name)


def test_the_advice_survives_an_import_statement() -> None:
    with pytest.raises(ImportError, match="use create_session"):
        from aipartnerupflow import create_storage  # noqa: F401, PLC0415


@pytest.mark.parametrize("name", sorted(_ADVICE))
def test_an_old_name_is_no_name_of_today(name: str) -> None:
    assert name not in aipartnerupflow.__all__


def test_any_other_name_is_simply_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nobody'"):
        aipartnerupflow.nobody  # noqa: B018
    assert not hasattr(aipartnerupflow, "__nothing__")


def test_every_name_of_today_is_there() -> None:
    assert [name for name in aipartnerupflow.__all__ if not hasattr(aipartnerupflow, name)] == []
    assert dir(aipartnerupflow) == sorted(aipartnerupflow.__all__)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("BusinessError", "ApflowError"),
        ("ValidationError", "InvalidInput and InvalidGraph"),
        ("ConfigurationError", "InvalidInput"),
        ("NetworkError", "ApflowError"),
        ("AuthenticationError", "ApflowError"),
        ("SystemError", "ApflowError, or StoreError"),
        ("ExecutorError", "ExecutorMissing and ExecutorDisabled"),
        ("StorageError", "StoreError"),
    ],
)
def test_an_old_error_names_ours(name: str, ours: str) -> None:
    with pytest.raises(ImportError, match=ours):
        getattr(aipartnerupflow, name)
    assert all(hasattr(errors, word) for word in re.findall("[A-Z][A-Za-z]+", ours))


# -- modules


@pytest.mark.parametrize("name", sorted(_MODULES))
def test_an_old_module_answers_with_advice(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"no module 'aipartnerupflow.{name}': .+"):
        importlib.import_module(f"aipartnerupflow.{name}")
    assert f"aipartnerupflow.{name}" not in sys.modules


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        ("from aipartnerupflow.core import TaskTreeNode", "import names from aipartnerupflow"),
        ("from aipartnerupflow.core.types import TaskStatus", "import names from aipartnerupflow"),
        ("import aipartnerupflow.core.execution.task_manager", "import names from aipartnerupflow"),
        ("import aipartnerupflow.core.interfaces", "import names from aipartnerupflow"),
        ("import aipartnerupflow.core.storage", "import names from aipartnerupflow"),
        ("from aipartnerupflow import core", "import its names from aipartnerupflow"),
        ("import aipartnerupflow.extensions.stdio", "@executor_register"),
        ("from aipartnerupflow.cli.main import app", "the command apflow"),
        ("from aipartnerupflow.api.main import main", "apflow serve"),
        ("from aipartnerupflow.api import main", "apflow serve"),
    ],
)
def test_the_advice_survives_every_way_to_import(statement: str, advice: str) -> None:
    with pytest.raises(ImportError, match=advice):
        exec(statement, {})


def test_any_other_module_is_simply_not_there() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("aipartnerupflow.nobody")
    assert caught.value.name == "aipartnerupflow.nobody"
    assert importlib.util.find_spec("aipartnerupflow.nobody") is None


# -- members


def made(kind: str) -> object:
    """An object of the class, without a store behind it."""
    cls = Session if kind == "Session" else getattr(aipartnerupflow, kind)
    return cls.__new__(cls)


@pytest.mark.parametrize("kind", sorted(_MEMBERS))
def test_an_old_member_answers_with_advice_and_is_not_there(kind: str) -> None:
    it = made(kind)
    for name, advice in _MEMBERS[kind].items():
        assert not hasattr(it, name)
        with pytest.raises(AttributeError) as caught:
            getattr(it, name)
        assert str(caught.value) == f"{kind!r} object has no attribute {name!r}: {advice}."
        assert (caught.value.name, caught.value.obj) == (name, it)


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [
        ("TaskManager", "execute_after_task", "distribute_task_tree"),
        ("TaskManager", "use_demo", "demo=True"),
        ("TaskRepository", "update_task_status", "cannot be set"),
        ("TaskRepository", "update_task_inputs", "register_pre_hook"),
        ("TaskRepository", "get_due_scheduled_tasks", "no scheduler"),
        ("Session", "commit", "is durable"),
        ("Session", "query", "query_tasks"),
    ],
)
def test_the_advice_fits_the_member(kind: str, name: str, advice: str) -> None:
    with pytest.raises(AttributeError, match=advice):
        getattr(made(kind), name)


def test_a_subclass_gives_the_same_advice_and_other_members_none() -> None:
    class Mine(TaskTreeNode):
        pass

    it = Mine.__new__(Mine)
    with pytest.raises(AttributeError, match="'Mine' object has no attribute 'to_mapping': use"):
        getattr(it, "to_mapping")  # noqa: B009
    with pytest.raises(AttributeError, match=r"'Mine' object has no attribute 'nobody'$"):
        getattr(it, "nobody")  # noqa: B009
