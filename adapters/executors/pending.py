"""What can be said of inputs by a schema while their secrets are not known.

In place of each reference stands a `Pending`. Its being a text is all that is certain.
"""

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from .secrets import Pending

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_OF_VALUES: Final = frozenset(
    {"anyOf", "const", "contains", "enum", "maxContains", "minContains", "not", "oneOf",
     "uniqueItems"}
)  # fmt: skip
"""Rules that look at values of the inner parts as well; all others tell of each part by itself."""


def is_certain(error: "ValidationError") -> bool:
    """Whether the rule is broken whatever the secrets turn out to be."""
    if error.context:
        branches: dict[Any, list[ValidationError]] = defaultdict(list)
        for inner in error.context:
            branches[next(iter(inner.relative_schema_path), None)].append(inner)
        return all(any(map(is_certain, errors)) for errors in branches.values())
    keyword = error.validator
    if isinstance(error.instance, Pending):
        return keyword == "type" or not isinstance(keyword, str)  # or the schema is `false`
    return keyword not in _OF_VALUES or not _holds_pending(error.instance)


def _holds_pending(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_pending, value.values()))
    if isinstance(value, list):
        return any(map(_holds_pending, value))
    return isinstance(value, Pending)
