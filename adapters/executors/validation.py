"""Checks made with jsonschema. Imported late, see `schemas`.

The library fetches references over the network and from files unless it is given a registry: here
it is always given an empty one.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextvars import ContextVar
from difflib import get_close_matches
from itertools import islice
from math import inf
from time import thread_time
from typing import Any, Final

from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import SchemaError, UnknownType, ValidationError
from jsonschema.validators import extend, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from ...domain.wording import quoted
from .pending import is_certain
from .schemas import Check, pointer
from .task_schema import DRAFT_7, dialect

MAX_VIOLATIONS: Final = 20
"""How many are told; whoever has more needs another look at the whole."""
MAX_SECONDS: Final = 0.5
"""Of processor time, for one check against a schema that came with a task."""
MAX_RULE: Final = 80
"""Characters of a rule's value that are shown, and of a name that is looked for."""
MAX_KNOWN: Final = 50
"""A schema with more properties than this lists none of them, and suggests none."""


class _TooLong(Exception):
    """The time for this check is used up."""


_until: ContextVar[float] = ContextVar("until", default=inf)


def check(schema: dict[str, Any]) -> Check:
    """The check for an executor's own schema, which may use the whole of its draft."""
    validator_class = validator_for(schema, default=Draft202012Validator)
    try:
        validator_class.check_schema(schema)
    except SchemaError as error:
        broken = (f"the executor's input schema is itself not valid at {_pointer(error)}",)
        return lambda value: broken
    validator = validator_class(schema, registry=Registry())
    return lambda value: _violations(validator, value)


def bounded_check(schema: Any) -> Check:
    """The check for a schema that came with a task and has no fault by `task_schema.faults_of`."""
    validator_class = _BOUNDED_7 if dialect(schema) == DRAFT_7 else _BOUNDED_2020
    if isinstance(schema, dict):
        # Named dialects switch the class on the way, ids the base of references.
        schema = {name: rule for name, rule in schema.items() if name not in ("$schema", "$id")}
    validator = validator_class(schema, registry=Registry())

    def run(value: Any) -> Sequence[str]:
        token = _until.set(thread_time() + MAX_SECONDS)
        try:
            return _violations(validator, value)
        except _TooLong:
            return (f"/: this check takes more than {MAX_SECONDS} s; simplify the schema",)
        finally:
            _until.reset(token)

    return run


def _violations(validator: Any, value: Any) -> Sequence[str]:
    try:
        certain = filter(is_certain, validator.iter_errors(value))
        found = list(islice(certain, MAX_VIOLATIONS))
    except RecursionError:
        return ("/: the schema refers to itself without an end",)
    except Unresolvable:
        return ("/: the schema refers to something outside of it, which is never read",)
    except (UnknownType, ArithmeticError):
        return ("/: the schema has a rule that cannot be applied to these inputs",)
    extra: Any = next((one for one in found if one.validator == "additionalProperties"), None)
    return list(
        dict.fromkeys(
            f"{_pointer(error)}: {_rule(error)}{_unknown(error) if extra is error else ''}"
            for error in found
        )
    )


def _pointer(error: ValidationError | SchemaError) -> str:
    return pointer(list(error.absolute_path))


def _rule(error: ValidationError) -> str:
    """The keyword, and what it asks for where that is short."""
    keyword, wanted = error.validator, error.validator_value
    if not isinstance(keyword, str):  # the schema is `false`
        return "nothing is allowed here"
    if keyword == "required" and isinstance(wanted, list) and isinstance(error.instance, dict):
        wanted = [name for name in wanted if name not in error.instance]
    shown = json.dumps(wanted, ensure_ascii=False)
    return f"{keyword} {shown}" if len(shown) <= MAX_RULE else keyword


def _unknown(error: ValidationError) -> str:
    """Which property is one too many, and which one may have been meant."""
    schema, given = error.schema, error.instance
    if not isinstance(schema, dict) or not isinstance(given, dict) or "patternProperties" in schema:
        return ""
    known = schema.get("properties", {})
    name = next((name for name in given if name not in known), "")
    return f": {quoted(name)} is unknown{_hint(name, known)}"


def _hint(name: str, known: Collection[str]) -> str:
    """Nothing where there is much to look through: nobody watches the clock any more."""
    if not known or len(known) > MAX_KNOWN or len(name) > MAX_RULE:
        return ""
    listed = f"; known are {', '.join(known)}"
    close = get_close_matches(name, [one for one in known if len(one) <= MAX_RULE], n=1)
    hint = f", did you mean {close[0]!r}?" if close else listed
    return hint if len(hint) <= 2 * MAX_RULE else ""


def _bounded(base: Any) -> Any:
    """``base``, looking at the clock at each schema on the way, and quick at `uniqueItems`."""
    extended: Any = extend
    bounded = extended(base, {"uniqueItems": _unique_items})
    evolve = bounded.evolve

    def timed(self: Any, **changes: Any) -> Any:
        if thread_time() > _until.get():
            raise _TooLong
        return evolve(self, **changes)

    bounded.evolve = timed
    return bounded


def _unique_items(
    validator: Any, wanted: bool, value: Any, schema: Any
) -> Iterator[ValidationError]:
    if wanted and validator.is_type(value, "array"):
        seen = {_identity(item) for item in value}
        if len(seen) < len(value):
            yield ValidationError("items are not unique")


def _identity(value: Any) -> Any:
    """Equal for what JSON Schema calls equal: 1 is 1.0, but not true."""
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, list):
        return list, tuple(map(_identity, value))
    if isinstance(value, dict):
        return dict, frozenset((name, _identity(item)) for name, item in value.items())
    return value


_BOUNDED_7: Final = _bounded(Draft7Validator)
_BOUNDED_2020: Final = _bounded(Draft202012Validator)
