"""Figures for Prometheus (text format 0.0.4): counted where it happens, written when asked."""

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .server import Server

TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Of one server."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)

    def took(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self.requests[method, route, status] += 1
        self.seconds[method, route] += seconds

    def health(self) -> str:
        """What tells nothing of what others do: is the engine whole?"""
        engine = self._server.engine
        lines = ["# TYPE apflow_up gauge", "apflow_up 1"]
        if engine is not None:
            lines += [
                "# TYPE apflow_engine_degraded gauge",
                f"apflow_engine_degraded {int(bool(engine.health.degraded))}",
            ]
        return "\n".join(lines) + "\n"

    def text(self) -> str:
        """All figures as they stand. Blocking."""
        server = self._server
        lines = [
            "# TYPE apflow_position counter",
            f"apflow_position {server.store.journal.position()}",
            "# TYPE apflow_open_trees gauge",
            f"apflow_open_trees {len(server.store.journal.open_work())}",
            "# TYPE apflow_streams gauge",
            f"apflow_streams {server.streams}",
        ]
        engine = server.engine
        if engine is not None:
            lines += [
                "# TYPE apflow_engine_trees gauge",
                f"apflow_engine_trees {len(engine.actors)}",
                "# TYPE apflow_engine_running gauge",
                f"apflow_engine_running {engine.starter.active}",
            ]
        lines.append("# TYPE apflow_requests_total counter")
        for (method, route, status), count in sorted(self.requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"apflow_requests_total{{{labels}}} {count}")
        lines.append("# TYPE apflow_request_seconds_total counter")
        for (method, route), total in sorted(self.seconds.items()):
            lines.append(
                f'apflow_request_seconds_total{{method="{method}",route="{route}"}} {total:.6f}'
            )
        return self.health() + "\n".join(lines) + "\n"
