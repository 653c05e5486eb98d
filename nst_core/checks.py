"""What checks of arguments share."""

from __future__ import annotations

import numbers
import re

_POWER_OF_TEN = re.compile(r"[-+]?[\d.]+[eE][-+]?\d+")


def is_number(value: object) -> bool:
    """Real numbers of Python and of numpy; no bool, no tensor."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def shown(value: object) -> str:
    """A value for an error message."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out more than 4300 digits
        return "a number of thousands of digits"
    if isinstance(value, str) and _POWER_OF_TEN.fullmatch(value):
        return f"{text}, which is text in YAML; 1.0e+5 is a number"
    return text
