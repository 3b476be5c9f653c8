"""Minutes and hours on the clock in UTC, which is how Vercel counts."""

from datetime import UTC, datetime, timedelta

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def floor_minute(moment: datetime) -> datetime:
    """Return the beginning of the minute of *moment*, in UTC."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def floor_hour(moment: datetime) -> datetime:
    """Return the beginning of the hour of *moment*, in UTC."""
    return floor_minute(moment).replace(minute=0)


def ceil_minute(moment: datetime) -> datetime:
    """Return the first beginning of a minute that is not before *moment*, in UTC."""
    floor = floor_minute(moment)
    return floor if floor == moment else floor + MINUTE
