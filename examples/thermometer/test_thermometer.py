"""What every executor should hold, and what this one is for."""

from typing import Any

from thermometer import Thermometer

from aipartnerupflow.testing.executors import ExecutorContract


class TestThermometer(ExecutorContract):
    executor = Thermometer

    def works(self) -> dict[str, Any]:
        return {"place": "attic"}

    def shows(self, result: Any) -> None:
        assert result == {"celsius": 24.5, "readings": 3}

    def wrong(self) -> list[dict[str, Any]]:
        return [{}, {"place": "sea"}, {"place": "attic", "readings": 0}]

    def hangs(self) -> dict[str, Any]:
        return {"place": "cellar", "readings": 1_000_000}

    def running(self) -> int:
        return int(Thermometer.reading)
