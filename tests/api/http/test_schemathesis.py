"""Every operation of the OpenAPI, as schemathesis thinks of it: no server errors, no mismatches."""

import importlib
from pathlib import Path

import pytest

from tests.support.chaos.tally import Tally

pytest.importorskip(
    "schemathesis", reason="a tool of the tests; not installed beside the lowest versions"
)
fuzz_server = importlib.import_module("tests.support.fuzzing").fuzz_server

FEWEST = 1_000


@pytest.mark.slow
def test_whatever_fits_or_does_not_fit_the_description_is_answered_as_it_says(
    place: Path, tally: Tally
) -> None:
    fuzz_server(place, tally, examples=8, seed=1)
    assert tally.violations[:10] == []
    assert tally.counts["cases by a caller"] >= FEWEST
    assert tally.counts["cases by nobody"] >= 100
    assert tally.counts["carried out for a caller"] >= 100
    assert tally.counts["of them in sequences by a caller"] >= 20
