"""For how long targets want to be left alone."""

import pytest

from aipartnerupflow.adapters.net.waits import retry_after

NOON = "Thu, 01 Jan 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "Thu, 01 Jan 2026 12:01:30 GMT", "date": NOON}, 90.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT", "date": NOON}, 0.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:01:30 GMT"}, None),
    ],
)
def test_a_number_or_a_date_says_how_long(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
