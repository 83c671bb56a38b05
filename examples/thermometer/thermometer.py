"""Reads a temperature, and takes its time."""

import asyncio
from typing import Any

from aipartnerupflow import BaseTask


class Thermometer(BaseTask):
    """Reads one place a few times and gives the mean."""

    id = "thermometer"
    name = "Thermometer"
    description = "Reads the temperature of a place"
    cancelable = True
    examples = ({"place": "cellar"},)
    inputs_schema = {  # noqa: RUF012 - read only
        "type": "object",
        "properties": {
            "place": {"enum": ["cellar", "attic"], "description": "where it hangs"},
            "readings": {"type": "integer", "minimum": 1, "default": 3},
        },
        "required": ["place"],
    }
    outputs_schema = {  # noqa: RUF012 - read only
        "type": "object",
        "properties": {"celsius": {"type": "number"}, "readings": {"type": "integer"}},
        "required": ["celsius", "readings"],
    }

    reading = 0
    """How many are at work: for the tests."""

    @classmethod
    def safe_to_repeat(cls, inputs: dict[str, Any]) -> bool:
        """It only reads, so a failed attempt may be followed by another."""
        return True

    async def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """``{"celsius", "readings"}``. After a restart it goes on behind the last reading saved."""
        wanted = inputs.get("readings", 3)
        done: list[float] = self.context.checkpoint or []
        Thermometer.reading += 1
        try:
            while len(done) < wanted:
                await asyncio.sleep(0.01)
                done.append(12.0 if inputs["place"] == "cellar" else 24.5)
                await self.context.save(done)
                await self.context.progress(len(done) / wanted, f"{len(done)} of {wanted}")
        finally:
            Thermometer.reading -= 1
        return {"celsius": sum(done) / len(done), "readings": len(done)}
