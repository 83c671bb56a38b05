"""The stored form of every event: stores in the field hold these bytes.

One file for each topic and version. A file that has landed is never edited. What an event looks
like may grow by a field that has a default: add a sample and a file ``<topic>.v<version>+<field>``.
For any other change raise the class's ``version``, add the upcast from the former one to the
journal's mapper, and put a new sample in the place of the old one; the old file stays.
"""

from pathlib import Path

import pytest
from msgspec import json

from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.domain.events import EVENT_TYPES, AnyEvent
from aipartnerupflow.domain.specs import (
    Concurrency,
    Dependency,
    ErrorInfo,
    ExecutorRef,
    Policy,
    Request,
    RetryPolicy,
    TaskSpec,
    TreeOptions,
)
from tests.approved import samples
from tests.approved.samples import SAMPLES

HERE = Path(__file__).parent
FILES = sorted(path.stem for path in HERE.glob("*.v*.json"))

HOW_TO = (
    "Never edit an approved file: stores hold events of that form. For a new field with a default "
    "add a sample and a file {topic}.v{version}+<field>.json. For any other change raise `version` "
    "in {kind} to {next}, add the upcast from {version} to the journal's mapper, and add the "
    "sample and file {topic}.v{next}; the file of version {version} stays and must still be read."
)


def how_to(event: AnyEvent) -> str:
    return HOW_TO.format(
        topic=event.topic, version=event.version, next=event.version + 1, kind=type(event).__name__
    )


def test_every_event_has_a_sample_of_its_version() -> None:
    wanted = {f"{kind.topic}.v{kind.version}" for kind in EVENT_TYPES}
    assert len(wanted) == len(EVENT_TYPES)
    assert {name.partition("+")[0] for name in SAMPLES} == wanted, "add it to samples.py"


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_the_samples_of_an_event_set_every_field(kind: type[AnyEvent]) -> None:
    stored = [json.decode(json.encode(sample)) for sample in SAMPLES.values()
              if type(sample) is kind]  # fmt: skip
    assert set().union(*stored) == set(kind.__struct_fields__), (
        "a field that has its default is not stored, so no approved file would show it"
    )


def test_the_parts_of_events_are_set_as_well() -> None:
    parts = (samples.CAREFUL, Dependency("a", False), samples.ERROR, ExecutorRef("e", "m", True),
             TreeOptions(limit=1, demo=True), samples.POLICY, samples.RETRY, samples.SLOT,
             samples.REQUEST)  # fmt: skip
    assert [type(part) for part in parts] == [
        TaskSpec, Dependency, ErrorInfo, ExecutorRef, TreeOptions, Policy, RetryPolicy, Concurrency,
        Request,
    ]  # fmt: skip
    for part in parts:
        assert set(json.decode(json.encode(part))) == set(part.__struct_fields__)


@pytest.mark.parametrize("name", SAMPLES)
def test_an_event_is_stored_as_it_was_approved(name: str) -> None:
    event, path = SAMPLES[name], HERE / f"{name}.json"
    written = json.encode(event)
    if not path.exists():
        pytest.fail(f"new? Then put this line into tests/approved/{path.name}:\n{written.decode()}")
    assert path.read_bytes() == written + b"\n", how_to(event)


@pytest.mark.parametrize("name", FILES)
def test_whatever_was_ever_stored_can_be_read(name: str) -> None:
    topic, _, version = name.partition("+")[0].rpartition(".v")
    stored_topic = topic if version == "1" else f"{topic}/{version}"
    event = StructMapper().decode(stored_topic, (HERE / f"{name}.json").read_bytes())
    assert event.topic == topic
    assert event == SAMPLES.get(name, event)


def test_no_approved_file_stands_alone() -> None:
    current = {f"{kind.topic}.v{kind.version}" for kind in EVENT_TYPES}
    of_today = {name for name in FILES if name.partition("+")[0] in current}
    assert of_today == set(SAMPLES), "a sample was dropped or a file was put here without one"
