"""JSONPath (RFC 9535) over an answer: the values it selects, and whether what should hold them was there at all.

Paths of names and ``[*]`` only, such as ``$.items[*].id``, are followed here: probes read many answers a second. All
others go through the library ``jsonpath``.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jsonpath

_STEP = re.compile(r"""\.([A-Za-z_]\w*)|\['([^'\\]+)'\]|\["([^"\\]+)"\]|(\[\*\])""", re.ASCII)
_EVERY = None


class JsonPath:
    """A compiled path; raises ValueError, with the reason, for a text that is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps = _steps(text)
        self.singular = _EVERY not in self._steps if self._steps is not None else self._compiled.singular_query()

    def values(self, document: Any) -> list[Any]:
        """All that the path selects, in the document's order; empty where it selects nothing."""
        if self._steps is None:
            return _find(self._compiled, document)
        found = [document]
        for name in self._steps:
            if name is _EVERY:
                found = [value for held in found for value in _children(held)]
            else:
                found = [held[name] for held in found if isinstance(held, dict) and name in held]
        return found

    def listed(self, document: Any) -> list[Any]:
        """The values of a list: what the path selects or, where it leads to one list, what stands in it."""
        found = self.values(document)
        return found[0] if self.singular and found and isinstance(found[0], list) else found

    def leads_to_nothing(self, document: Any) -> bool:
        """For a path that selected nothing: True if the lists it leads through are there and are empty.

        So ``{"items": []}`` is told from ``{"error": "no such user"}`` under ``$.items[*].id``.
        """
        for part in self._ways:
            held = _find(part, document)
            if held:
                return all(isinstance(value, list | dict) and not value for value in held)
        return False

    @cached_property
    def _compiled(self) -> jsonpath.JSONPath:
        import jsonpath  # noqa: PLC0415 - a tenth of a second that most paths, and most processes, never need

        try:
            found = jsonpath.compile(self.text, strict=True)
        except (jsonpath.JSONPathError, RecursionError) as error:
            raise ValueError(str(error.args[0]) if error.args else type(error).__name__) from None
        assert isinstance(found, jsonpath.JSONPath)  # strict paths are never compounds
        return found

    @cached_property
    def _ways(self) -> list[jsonpath.JSONPath]:
        """The path up to each segment that may select several values, the longest first."""
        import jsonpath  # noqa: PLC0415 - see above

        whole = self._compiled
        ends = [
            number
            for number, segment in enumerate(whole.segments)
            if not jsonpath.JSONPath(env=whole.env, segments=[segment]).singular_query()
        ]
        if not ends:
            return [whole]
        return [jsonpath.JSONPath(env=whole.env, segments=whole.segments[:end]) for end in reversed(ends)]


def _steps(text: str) -> tuple[str | None, ...] | None:
    """The names (None: ``[*]``) of a plain path; None for any other."""
    if not text.startswith("$"):
        return None
    steps: list[str | None] = []
    position = 1
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            return None
        steps.append(_EVERY if step[4] else step[1] or step[2] or step[3])
        position = step.end()
    return tuple(steps)


def _children(held: Any) -> list[Any]:
    if isinstance(held, list):
        return held
    return list(held.values()) if isinstance(held, dict) else []


def _find(path: jsonpath.JSONPath, document: Any) -> list[Any]:
    """What the library finds; nothing in a document that is nested more deeply than it can follow."""
    import jsonpath  # noqa: PLC0415 - see above

    try:
        return list(path.findall(document))
    except (jsonpath.JSONPathError, RecursionError):
        return []
