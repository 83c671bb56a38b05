"""All results of the tasks that this one depends on, in one."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from .base import BaseTask, Inputs

OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "results": {"type": "object"},
        "result_count": {"type": "integer"},
    },
    "required": ["summary", "timestamp", "results", "result_count"],
}


class AggregateResultsExecutor(BaseTask):
    """Gathers what it is given: each dependency's result by its key, and explicit inputs too."""

    id = "aggregate_results_executor"
    name = "Aggregate results"
    description = "Collects the results of all dependencies into one result"
    tags = ("core",)
    by_key: ClassVar[bool] = True
    outputs_schema = OUTPUTS

    @classmethod
    def safe_to_repeat(cls, inputs: Inputs) -> bool:
        """It only reads."""
        return True

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """``{summary, timestamp, results, result_count}``."""
        count = len(inputs)
        return {
            "summary": f"{count} {'result' if count == 1 else 'results'}",
            "timestamp": datetime.now(UTC).isoformat(),
            "results": dict(inputs),
            "result_count": count,
        }
