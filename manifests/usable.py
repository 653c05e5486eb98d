"""What of a manifest with wrong values can be looked at all the same, to find all that is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from manifests.errors import Field
from manifests.schema import Manifest

# Of an entry of a list, so that those behind it keep their numbers.
_STAND_IN = {"path": "-"}
_NEEDED = {"version": 1, "name": "unnamed", "content": [_STAND_IN], "output": _STAND_IN}


def usable(values: Any, wrong: Iterable[Field]) -> tuple[Manifest, frozenset[Field]]:
    """The manifest without each section that has a wrong value, and which these are.

    A section is what means nothing without any of its fields: `stylize`, an entry of `content`, one
    recipe. What stands in its place in the manifest is not to be looked at.
    """
    sections = frozenset(map(_section, wrong))
    kept = {} if () in sections else deepcopy(values)
    for section in sorted(sections, key=len, reverse=True):  # inner ones while outer ones are there
        if section:
            _leave_out(kept, section)
    try:
        return Manifest.model_validate(_NEEDED | kept), sections
    except ValidationError:  # wrong only by what was left out
        return Manifest.model_validate(_NEEDED), frozenset({()})


def _section(field: Field) -> Field:
    if field[:2] == ("augment", "recipes"):
        return field[:3]
    return field[:2] if field[:1] in (("content",), ("styles",), ("augment",)) else field[:1]


def _leave_out(values: Any, section: Field) -> None:
    *outer, last = section
    for part in outer:
        values = values[part]
    if isinstance(values, list):
        values[int(last)] = dict(_STAND_IN)
    else:
        values.pop(last, None)
