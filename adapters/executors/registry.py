"""Which executors there are in this process: `engine.ports.Executors`."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from logging import getLogger
from typing import Any, Final

from msgspec import Raw, json

from ...domain.errors import InvalidInput
from ...engine.ports import Call, Kind
from . import origins
from .builtin import BUILTIN, Builtin
from .entry import Entry, Factory
from .hooks import TREE_EVENTS, Around, Hook, InThread, add_once, run_hook
from .loading import load
from .origins import importable, is_ours, load_class, same
from .schemas import TaskSchemas
from .secrets import Secrets, checkable
from .view import TaskView

EXECUTOR: Final = "__executor__"
"""The attribute by which a decorated function leads to its executor class."""

_log = getLogger(__name__)


def _installed() -> Iterable[Any]:
    found: Iterable[Any] = load(".plugins:find")()
    return found


class Registry:
    """Executors by id: those registered, those built in, those that installed packages declare.

    The built-in ones are imported on first use. Entry points are looked for when an id is asked
    for that nothing else knows, and loaded one by one; a broken one is logged and left out.
    """

    def __init__(
        self,
        builtin: Iterable[Builtin] = BUILTIN,
        installed: Callable[[], Iterable[Any]] = _installed,
    ) -> None:
        self._entries: dict[str, Entry] = {}
        self._builtin = {each.kind.id: each for each in builtin}
        self._find = installed
        self._plugins: dict[str, Any] | None = None
        self._settings: dict[str, Any] = {}
        self.demo_scale = 1.0
        self.secrets = Secrets()
        self._schemas = TaskSchemas()
        self._pre: list[Hook] = []
        self._tree: dict[str, list[Hook]] = {event: [] for event in TREE_EVENTS}
        self.post: list[Hook] = []
        """Hooks ``fn(task, inputs, result)`` that run after each success."""

    def register(
        self,
        cls: type,
        factory: Factory | None = None,
        *,
        override: bool = False,
        pre_hook: Hook | None = None,
        post_hook: Hook | None = None,
    ) -> None:
        """Add an executor class under its ``id``.

        Where the id is taken, the first stays and a warning is logged, unless ``override`` is set
        or it is the same class again, as after a reload, which then counts.
        """
        entry = Entry(cls, factory, Around(own_pre=pre_hook, own_post=post_hook))
        known = self._entries.get(entry.id)
        again = known is not None and same(known.cls, cls)
        if not again and not override and (known or entry.id in self._builtin):
            self._keep(entry, known.cls.__module__ if known else "this package")
            return
        if again and known is not None:
            entry.around.added_from(known.around)
        self._entries[entry.id] = entry

    @staticmethod
    def _keep(entry: Entry, where: str) -> None:
        _log.warning(
            "executor %s of %s is not registered: %s has one by that id. "
            "Choose another id, or register it with override=True.",
            entry.id, entry.cls.__module__, where,
        )  # fmt: skip

    def entry(self, id: str) -> Entry:
        """All that is known of one. Raises KeyError, or what its import raises."""
        return self._entries.get(id) or self._resolve(id)

    def _resolve(self, id: str) -> Entry:
        builtin = self._builtin.get(id)
        if builtin is not None:
            return self._load_builtin(builtin)
        plugin = self._known_plugins().get(id)
        if plugin is None:
            raise KeyError(id)
        return self._load_plugin(plugin)

    def _load_builtin(self, builtin: Builtin) -> Entry:
        cls = load_class(builtin)
        factory: Factory | None = None
        if builtin.settings is not None:
            factory = cls.configured(self._settings)
        entry = Entry(cls, factory, Around())
        return self._entries.setdefault(entry.id, entry)

    def _known_plugins(self) -> dict[str, Any]:
        if self._plugins is None:
            self._plugins = {}
            for plugin in self._find():
                self._plugins.setdefault(plugin.name, plugin)
        return self._plugins

    def _load_plugin(self, plugin: Any) -> Entry:
        try:
            target = plugin.load()
            if plugin.name not in self._entries:  # its own decorator may have done it
                self.register(getattr(target, EXECUTOR, target))
            if plugin.name not in self._entries:
                raise InvalidInput(f"what it names has not the id {plugin.name!r}")
        except Exception as error:
            self._known_plugins().pop(plugin.name, None)
            _log.warning(
                "executor %s of the installed package %s (%s) cannot be used: %s: %s. "
                "Mend or uninstall that package.",
                plugin.name, load(".plugins:distribution")(plugin), plugin.value,
                type(error).__name__, error,
            )  # fmt: skip
            raise KeyError(plugin.name) from error
        return self._entries[plugin.name]

    def _find_entry(self, id: str) -> Entry | None:
        try:
            return self.entry(id)
        except KeyError:
            return None

    def module_of(self, id: str) -> str | None:
        """What people must import to have it; empty for what is built in, None where unknown.

        `Lacking` where it is built in and its extra is not installed.
        """
        if id not in self._entries and id in self._builtin:
            return origins.module_of(self._builtin[id])
        entry = self._find_entry(id)
        if entry is None:
            return None
        if is_ours(entry):
            return ""
        return importable(entry.cls.__module__)

    def kind(self, id: str) -> Kind:
        """What the engine must know. Raises KeyError where it is not registered."""
        if id not in self._entries and id in self._builtin:
            return self._builtin[id].kind
        return self.entry(id).kind

    def ids(self) -> Sequence[str]:
        """All that can be used, sorted. Loads what installed packages declare."""
        for id in list(self._known_plugins()):
            self._find_entry(id)
        return sorted(self._entries.keys() | self._builtin.keys())

    def violations(self, id: str, schemas: Raw, inputs: Any) -> Sequence[str]:
        """How ``inputs`` violate the task's own input schema or the executor's."""
        entry = self.entry(id)
        found = entry.check(inputs := checkable(inputs))
        task = self._schemas.of(schemas)
        return found if task is None else [*task.violations(inputs), *found]

    def properties(self, id: str, schemas: Raw) -> tuple[str, ...] | None:
        """The input properties that the task's own schema declares, else the executor's."""
        task = self._schemas.of(schemas)
        if task is not None and task.properties is not None:
            return task.properties
        return self.kind(id).properties

    def schema_faults(self, schemas: Raw) -> Sequence[str]:
        """Why the input schema that came with a task may not be used; empty where it may."""
        task = self._schemas.of(schemas)
        return () if task is None else task.faults

    def safe(self, call: Call) -> bool | None:
        """Whether the call may be repeated, as its executor says; None where it does not tell."""
        try:
            return self.entry(call.executor).safe(call)
        except (Exception, SystemExit):  # noqa: BLE001 - asks foreign code
            _log.warning("safe_to_repeat of executor %s failed", call.executor, exc_info=True)
            return None

    def payload_faults(self, schema: Any, payload: Any) -> Sequence[str]:
        """How ``payload`` violates a schema that came with a task, or why that is not used."""
        return self._schemas.for_payload(schema).violations(payload)

    @property
    def has_before(self) -> bool:
        """Whether any pre-hook is registered."""
        return bool(self._pre)

    async def before(
        self, call: Call, in_thread: InThread = asyncio.to_thread
    ) -> Mapping[str, Any] | None:
        """Run the pre-hooks ``fn(task)``; returns ``task.inputs`` where they changed it."""
        if not self._pre:
            return None
        given = json.encode(call.inputs)
        task = TaskView(call, json.decode(given))
        for hook in self._pre:
            await run_hook(hook, (task,), in_thread)
        try:
            after = json.encode(task.inputs)
        except (TypeError, ValueError, OverflowError, RecursionError):
            after = b""
        if not after.startswith(b"{"):
            _log.warning("what pre-hooks made of the inputs of %s is not a JSON object", call.task)
            return None
        changed: dict[str, Any] | None = json.decode(after) if after != given else None
        return changed

    async def after(
        self, call: Call, inputs: dict[str, Any], result: Any, in_thread: InThread
    ) -> None:
        """Run the post-hooks."""
        for hook in self.post:
            await run_hook(hook, (TaskView(call), inputs, result), in_thread)

    def add_executor_hook(self, id: str, kind: str, hook: Hook) -> None:
        """Let ``hook`` run around one executor; ``kind`` is ``pre_hook`` or ``post_hook``."""
        entry = self._find_entry(id)
        if entry is None:
            raise InvalidInput(
                f"no executor is called {id!r}; there are {', '.join(self.ids())}. "
                "Import the module that registers it first."
            )
        entry.around.add(kind, hook)

    def add_pre_hook(self, hook: Hook) -> None:
        """Run ``hook(task)`` before each attempt."""
        add_once(self._pre, hook)

    def add_post_hook(self, hook: Hook) -> None:
        """Run ``hook(task, inputs, result)`` after each success."""
        add_once(self.post, hook)

    def add_tree_hook(self, event: str, hook: Hook) -> None:
        """Keep ``hook`` for one of `TREE_EVENTS`; who drives trees calls it."""
        add_once(self._tree_hooks(event), hook)

    def tree_hooks(self, event: str) -> Sequence[Hook]:
        """Those kept for ``event``, in order."""
        return tuple(self._tree_hooks(event))

    def _tree_hooks(self, event: str) -> list[Hook]:
        if event not in self._tree:
            raise InvalidInput(f"no tree event {event!r}; there are {', '.join(TREE_EVENTS)}")
        return self._tree[event]

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Hand the operator's settings, by their ``APFLOW_…`` names, to the executors they are for.

        Replaces what was configured before. Raises `InvalidInput` for one that makes no sense.
        Executors that need an extra, which may not be there, are told on their first use.
        """
        self._settings = dict(settings)
        self.secrets = Secrets(settings.get("APFLOW_SECRETS"))
        self.demo_scale = float(settings.get("APFLOW_DEMO_SLEEP_SCALE", 1.0))
        for id, builtin in self._builtin.items():
            prefix, known = builtin.settings, self._entries.get(id)
            if prefix is None:
                continue
            if known is not None and is_ours(known):
                known.factory = load_class(builtin).configured(self._settings)
            elif known is None and builtin.extra is None and _begins(prefix, settings):
                self._load_builtin(builtin)

    def clear_config(self) -> None:
        """Forget all hooks and all settings; the executors stay."""
        self._pre.clear()
        self.post.clear()
        for hooks in self._tree.values():
            hooks.clear()
        for entry in self._entries.values():
            entry.around.clear()
        self.configure({})


def _begins(prefix: str, settings: Mapping[str, Any]) -> bool:
    return any(name.startswith(prefix) for name in settings)
