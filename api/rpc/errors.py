"""What goes wrong, as JSON-RPC tells it: a code, and a list of what is wrong and where."""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

from ...domain import errors as e
from ..http.access import Forbidden, Unauthenticated


class Code(IntEnum):
    """Those of JSON-RPC 2.0 (section 5.1), and those of the task protocol."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    NOT_FOUND = -32001
    CYCLE = -32002
    EXECUTOR_NOT_FOUND = -32003
    UNAUTHORIZED = -32004
    INVALID_SCHEMA = -32005
    INVALID_TRANSITION = -32006
    DEPENDENCY_NOT_SATISFIED = -32007
    ALREADY_EXECUTING = -32008
    CANNOT_DELETE = -32009
    INVALID_PARENT = -32010
    INVALID_DEPENDENCY = -32011
    INVALID_TREE = -32012


MESSAGES: Final[Mapping[Code, str]] = {
    Code.PARSE_ERROR: "Parse error",
    Code.INVALID_REQUEST: "Invalid Request",
    Code.METHOD_NOT_FOUND: "Method not found",
    Code.INVALID_PARAMS: "Invalid params",
    Code.INTERNAL_ERROR: "Internal error",
    Code.NOT_FOUND: "Task not found",
    Code.CYCLE: "Circular dependency",
    Code.EXECUTOR_NOT_FOUND: "Executor not found",
    Code.UNAUTHORIZED: "Unauthorized",
    Code.INVALID_SCHEMA: "Invalid schema",
    Code.INVALID_TRANSITION: "Invalid status transition",
    Code.DEPENDENCY_NOT_SATISFIED: "Dependency not satisfied",
    Code.ALREADY_EXECUTING: "Task already executing",
    Code.CANNOT_DELETE: "Task cannot be deleted",
    Code.INVALID_PARENT: "Invalid parent",
    Code.INVALID_DEPENDENCY: "Invalid dependency",
    Code.INVALID_TREE: "Invalid task tree",
}

Wrong = dict[str, Any]
"""``field`` and ``reason``, and what belongs to it."""

_OF_FAULTS: Final[Mapping[str, Code]] = {
    "cycle": Code.CYCLE,
    "self_dependency": Code.CYCLE,
    "unknown_dependency": Code.INVALID_DEPENDENCY,
    "bad_dependency": Code.INVALID_DEPENDENCY,
    "too_many_dependencies": Code.INVALID_DEPENDENCY,
    "undeclared_reference": Code.INVALID_DEPENDENCY,
    "unknown_parent": Code.INVALID_PARENT,
    "two_parents": Code.INVALID_PARENT,
    "parent_cycle": Code.INVALID_TREE,
    "no_tasks": Code.INVALID_TREE,
    "several_roots": Code.INVALID_TREE,
    "too_many_tasks": Code.INVALID_TREE,
    "duplicate_key": Code.INVALID_TREE,
    "executor_not_found": Code.EXECUTOR_NOT_FOUND,
    "bad_schema": Code.INVALID_SCHEMA,
    "other_owner": Code.UNAUTHORIZED,
}
"""By the code of the fault; other faults are invalid parameters."""

_OF_ERRORS: Final[Mapping[type[e.ApflowError], Code]] = {
    e.InvalidInput: Code.INVALID_PARAMS,
    e.IdTaken: Code.INVALID_PARAMS,
    e.KeyTaken: Code.INVALID_PARAMS,
    e.NotFound: Code.NOT_FOUND,
    e.InvalidTransition: Code.INVALID_TRANSITION,
    e.VersionMismatch: Code.INVALID_TRANSITION,
    e.StaleVersion: Code.INVALID_TRANSITION,
    e.OwnedElsewhere: Code.ALREADY_EXECUTING,
    e.ExecutorMissing: Code.EXECUTOR_NOT_FOUND,
    e.ExecutorDisabled: Code.EXECUTOR_NOT_FOUND,
    e.NotBuilt: Code.METHOD_NOT_FOUND,
    Forbidden: Code.UNAUTHORIZED,
    Unauthenticated: Code.UNAUTHORIZED,
}
"""By the nearest base; others are internal errors."""

ELSEWHERE: Final = "there is no task by that id, or it is somebody else's"


class RpcError(e.ApflowError):
    """An answer that is an error."""

    def __init__(self, code: Code, wrong: Sequence[Wrong] = ()) -> None:
        self.code, self.wrong = code, list(wrong)
        super().__init__("; ".join(str(one["reason"]) for one in wrong) or MESSAGES[code])

    @classmethod
    def of(cls, code: Code, field: str, reason: str) -> "RpcError":
        """One thing is wrong."""
        return cls(code, [{"field": field, "reason": reason}])

    def document(self) -> dict[str, Any]:
        """The member ``error`` of an answer."""
        return {"code": int(self.code), "message": MESSAGES[self.code], "data": self.wrong}


def told(error: e.ApflowError) -> RpcError:
    """Any of our errors in these words."""
    if isinstance(error, RpcError):
        return error
    if isinstance(error, e.InvalidGraph):
        return _of_graph(error.faults)
    code = next(
        (_OF_ERRORS[base] for base in type(error).__mro__ if base in _OF_ERRORS),
        Code.INTERNAL_ERROR,
    )
    if isinstance(error, e.NotFound) and error.what == "task":
        return RpcError.of(code, "task_id", ELSEWHERE)
    return RpcError.of(code, "", str(error))


def _of_graph(faults: Iterable[e.Fault]) -> RpcError:
    """All faults at once; the code is that of the first one."""
    wrong: list[Wrong] = []
    codes: list[Code] = []
    for fault in faults:
        codes.append(_OF_FAULTS.get(fault.code, Code.INVALID_PARAMS))
        one: Wrong = {
            "field": fault.where, "reason": fault.message, "fault": fault.code,
            "code": int(codes[-1]),
        }  # fmt: skip
        if path := _path_in(fault):
            one["path"] = path
        wrong.append(one)
    return RpcError(codes[0] if codes else Code.INVALID_PARAMS, wrong)


def _path_in(fault: e.Fault) -> list[str]:
    """The tasks that a cycle leads through, by their keys."""
    if fault.code == "self_dependency":
        return [fault.where, fault.where]
    if fault.code not in ("cycle", "parent_cycle"):
        return []
    path = fault.message.rpartition(": ")[2].split(" -> ")
    return path if path[0] == path[-1] else []
