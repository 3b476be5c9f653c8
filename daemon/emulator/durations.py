"""Durations with units, as scenarios write them."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration_ms(text: Any) -> int:
    """Return the milliseconds of ``90s``, ``5m``, ``250ms``, ``2h`` or ``3d``; a ValueError names what to write."""
    if text == 0 and not isinstance(text, bool):
        return 0
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a number with a unit, such as 250ms, 90s, 5m, 2h or 3d")
    return round(float(match[1]) * _UNITS_MS[match[2]])


DurationMs = Annotated[int, BeforeValidator(parse_duration_ms), Field(ge=0, le=366 * 86_400_000)]
"""A duration in milliseconds, written with its unit."""
