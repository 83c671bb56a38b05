"""The executors that come with the package: known by name, imported on first use."""

from typing import Final

from msgspec import Struct

from ...engine.ports import SIGNAL, WAIT, Kind


class Builtin(Struct, frozen=True):
    """``path`` is where the class stands. ``settings`` begins the names of its settings, ``extra``
    is what has to be installed with it.

    ``kind`` is written out here so that asking for it imports nothing.
    """

    kind: Kind
    path: str
    settings: str | None = None
    extra: str | None = None


BUILTIN: Final = (
    Builtin(Kind("aggregate_results_executor", by_key=True), ".aggregate:AggregateResultsExecutor"),
    Builtin(
        Kind("apflow_api_executor", properties=(), reattaches=True),
        ".apflow.executor:ApflowApiExecutor",
        settings="APFLOW_PRIVATE_",
        extra="http",
    ),
    Builtin(
        Kind("command_executor", properties=()),
        ".command.executor:CommandExecutor",
        settings="APFLOW_COMMAND_",
    ),
    Builtin(
        Kind("mcp_executor", properties=()),
        ".mcp.executor:McpExecutor",
        settings="APFLOW_MCP_",
    ),
    Builtin(
        Kind("grpc_executor", properties=()),
        ".grpc.executor:GrpcExecutor",
        settings="APFLOW_PRIVATE_",
        extra="grpc",
    ),
    Builtin(
        Kind("docker_executor", properties=(), reattaches=True),
        ".docker.executor:DockerExecutor",
        settings="APFLOW_DOCKER_",
        extra="docker",
    ),
    Builtin(
        Kind("rest_executor", properties=()),
        ".rest.executor:RestExecutor",
        settings="APFLOW_PRIVATE_",
        extra="http",
    ),
    Builtin(
        Kind("ssh_executor", properties=(), reattaches=True),
        ".ssh.executor:SshExecutor",
        settings="APFLOW_SSH_",
        extra="ssh",
    ),
    Builtin(
        Kind("system_info_executor", properties=("resource", "timeout")),
        ".system_info:SystemInfoExecutor",
    ),
    Builtin(Kind(WAIT, properties=(), runs="engine"), ".waiting:WaitExecutor"),
    Builtin(Kind(SIGNAL, properties=(), runs="engine"), ".waiting:SignalExecutor"),
    Builtin(
        Kind("websocket_executor", properties=()),
        ".websocket.executor:WebsocketExecutor",
        settings="APFLOW_PRIVATE_",
        extra="websocket",
    ),
)
