"""Names of an older interface say what to use instead."""

import pytest

import aipartnerupflow
from aipartnerupflow.api.library.old_names import _ADVICE


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
