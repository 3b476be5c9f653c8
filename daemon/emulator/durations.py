"""Durations: the units in milliseconds, and the words in which scenarios write them."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_UNITS_MS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration_ms(text: Any) -> int:
    """Return the milliseconds of ``90s``, ``5m``, ``250ms``, ``2h`` or ``3d``; a ValueError names what to write."""
    if text == 0 and not isinstance(text, bool):
        return 0
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a number with a unit, such as 250ms, 90s, 5m, 2h or 3d")
    return round(float(match[1]) * _UNITS_MS[match[2]])


DurationMs = Annotated[int, BeforeValidator(parse_duration_ms), Field(ge=0, le=366 * DAY_MS)]
"""A duration in milliseconds, written with its unit."""
