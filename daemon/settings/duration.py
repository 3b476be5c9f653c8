"""Durations as people write them: whole numbers with units, largest unit first."""

import re
from datetime import timedelta

EXAMPLES = "90s, 5m, 1h30m or 2d"
_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,8})s)?", re.ASCII)
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def parse_duration(text: str) -> timedelta | None:
    """Return the length of time that *text* (`90s`, `1h30m`) means; None when it is not written like that."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Return *duration* as it would be written, whole seconds only; `parse_duration` reads it back."""
    left = int(duration.total_seconds())
    assert left >= 0, "a length of time is never negative"
    parts = []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
