"""Of output whole lines are told: half a line may hold half a secret."""

import pytest

from aipartnerupflow.adapters.executors import telling
from aipartnerupflow.adapters.executors.context import Context
from aipartnerupflow.adapters.executors.telling import KEPT, Telling
from tests.adapters.executors.calls import Port, call
from tests.support.places import until


async def told(monkeypatch: pytest.MonkeyPatch, *chunks: bytes, last: str) -> list[str]:
    monkeypatch.setattr(telling, "EVERY", 0.0)
    port = Port()
    teller = Telling(Context(call("e", port=port)))
    for chunk in chunks:
        teller.hear(chunk)
    await until(lambda: last in [message for _, message in port.progressed])
    await teller.end()
    return [message for _, message in port.progressed]


async def test_a_line_is_told_once_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await told(monkeypatch, b"one\ntwo", last="one") == ["one"]
    assert await told(monkeypatch, b"one\ntw", b"o\r\nthree", last="two") == ["two"]
    assert await told(monkeypatch, b"10 %\r20 %\r30", last="20 %") == ["20 %"]


async def test_of_a_line_whose_beginning_is_lost_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = b"x" * KEPT
    assert await told(monkeypatch, long, b"tail\n", b"last\n", last="last") == ["last"]
    teller = telling._last_line(long + b"\n")
    assert teller == b""
