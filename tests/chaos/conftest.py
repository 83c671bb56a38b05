"""What the tests here count is told at the end of the run."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.chaos.tally import Tally

PROPERTY = "chaos"


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Tally]:
    """Counts of the test; whatever broke a promise makes it fail."""
    made = Tally()
    yield made
    record_property(PROPERTY, str(made))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each test that counted something."""
    reports = [report for some in terminalreporter.stats.values() for report in some]
    told = {
        report.nodeid: value
        for report in reports
        if isinstance(report, pytest.TestReport)
        for name, value in report.user_properties
        if name == PROPERTY
    }
    if told:
        terminalreporter.section("chaos")
    for test, counts in told.items():
        terminalreporter.write_line(f"{test.rpartition('::')[2]}: {counts}")
