"""What executors are made from. None of it is needed: ``id``, ``name`` and `execute` will do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .context import Context
from .schemas import as_json_schema, check_of
from .view import TaskView

Inputs = dict[str, Any]


class ExecutableTask(ABC):
    """Something that can be executed, found by its ``id``."""

    @property
    @abstractmethod
    def id(self) -> str:
        """What tasks name in ``params.executor_id`` or ``schemas.method``, or are named after."""

    @property
    @abstractmethod
    def name(self) -> str:
        """For people."""

    @property
    def description(self) -> str:
        """A sentence for people."""
        return ""

    @abstractmethod
    def execute(self, inputs: Inputs) -> Any:
        """Do the work; a coroutine, or plain and then run in a thread.

        Returns JSON. Raising makes the task fail, and so does a dict with ``success`` False.
        """

    def get_input_schema(self) -> dict[str, Any]:
        """JSON Schema of ``inputs``; empty: anything."""
        return {}

    def get_output_schema(self) -> dict[str, Any]:
        """JSON Schema of what `execute` returns; empty: anything."""
        return {}

    def cancel(self) -> Any:
        """Called when the attempt is to end; a coroutine or not, with five seconds to finish.

        For work that goes on elsewhere; a coroutine `execute` has been cancelled by then, one in a
        thread still runs and sees ``context.cancelled``. In a worker process there is one second.
        What it returns is not recorded.
        """
        return {"status": "failed", "message": f"{self.id} cannot be cancelled"}

    async def reattach(self, inputs: Inputs) -> Any:
        """Look for what this attempt began before its engine was lost: a container, a remote job.

        For work that outlives the engine. Write it, and it is asked instead of `execute`, with the
        same inputs and the context of the same attempt: name the work after what that tells, a
        checkpoint may help. Returns None where the work is not there: the task then counts as
        interrupted. Otherwise an awaitable, or an async function without arguments, that gives
        what `execute` would have returned; it is awaited once the attempt was taken over. Not
        asked of executors that run in worker processes.
        """
        return None

    @classmethod
    def safe_to_repeat(cls, inputs: Inputs) -> bool | None:
        """Whether `execute` may run again after a failure that may have come too late.

        True for what only reads, or does the same twice; None: the executor does not tell. Only
        safe calls are repeated without the task asking for it.
        """
        return None


class BaseTask(ExecutableTask):
    """The usual base: state ``id`` and ``name``, write `execute`.

    ``limit`` caps how many run at once in one engine; ``runs = "process"`` asks for a worker
    process. ``inputs_schema`` and ``outputs_schema`` are a JSON Schema or a pydantic model class.
    ``cancelable`` tells people that the work ends soon when it is cancelled; the engine tries in
    any case. The instance lives for one attempt.
    """

    id: str = ""
    name: str = ""
    description: str = ""
    tags: Sequence[str] = ()
    examples: Sequence[Any] = ()
    cancelable: bool = False
    inputs_schema: Any = None
    outputs_schema: Any = None
    limit: ClassVar[int | None] = None
    runs: ClassVar[str | None] = None
    by_key: ClassVar[bool] = False
    by_name: ClassVar[bool] = True
    """Whether results of dependencies fill in inputs of the same name."""

    context: Context = Context.detached()
    task: TaskView | None = None
    task_id: str | None = None
    user_id: str | None = None

    def __init__(
        self,
        inputs: Inputs | None = None,
        inputs_schema: Any = None,
        outputs_schema: Any = None,
        **kwargs: Any,
    ) -> None:
        self.inputs: Inputs = {} if inputs is None else inputs
        if inputs_schema is not None:
            self.inputs_schema = inputs_schema
        if outputs_schema is not None:
            self.outputs_schema = outputs_schema
        if "user_id" in kwargs:
            self.user_id = kwargs["user_id"]

    def set_inputs(self, inputs: Inputs) -> None:
        """Called before `execute`, with the same inputs."""
        self.inputs = inputs

    def get_input_schema(self) -> dict[str, Any]:
        """JSON Schema of the inputs, from ``inputs_schema``."""
        return as_json_schema(self.inputs_schema)

    def get_output_schema(self) -> dict[str, Any]:
        """JSON Schema of the result, from ``outputs_schema``."""
        return as_json_schema(self.outputs_schema)

    def validate_input_schema(self, params: Mapping[str, Any]) -> bool:
        """Whether ``params`` fit ``inputs_schema``."""
        return not check_of(self.inputs_schema)(params)

    def check_input_schema(self, params: Mapping[str, Any]) -> None:
        """Raises ValueError naming every place and the rule that is broken there."""
        wrong = check_of(self.inputs_schema)(params)
        if wrong:
            raise ValueError("; ".join(wrong))

    def get_demo_result(self, task: Any, inputs: Inputs) -> dict[str, Any] | None:
        """A result for show, without doing the work; None: there is none."""
        return None

    def cancellation_checker(self) -> bool:
        """Whether the attempt is to end."""
        return self.context.cancelled
