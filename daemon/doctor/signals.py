"""Check of one source of one project: does it answer, how much does it see, and how late."""

from daemon.core.signal import SignalReason
from daemon.doctor.facts import Examined, NotAsked
from daemon.doctor.line import Line, Name, fail, ok, skip, warn
from daemon.doctor.remedies import remedy_for, remedy_for_source
from daemon.ports.errors import PortError
from daemon.ports.source import Reading


def source_answers(project: Examined, kind: str) -> Line:
    """Whether the source *kind* answers for the project, with counts young enough to be judged."""
    name = f"{Name.SOURCE} {kind}"
    match project.readings.get(kind, NotAsked("it was not asked")):
        case NotAsked(why):
            return skip(name, why)
        case PortError() as error:
            return fail(name, str(error), remedy_for_source(kind, error))
        case reading:
            return _judge(name, reading, project)


def _judge(name: str, reading: Reading, project: Examined) -> Line:
    lag = project.now - reading.complete_until
    if lag > project.settings.lag_max:
        found = (
            f"counts end {lag.total_seconds():.0f} s ago, lag_max is {project.settings.lag_max.total_seconds():.0f} s"
        )
        return fail(name, found, remedy_for(SignalReason.LAGGING))
    seen = _seen(reading)
    if seen is None:
        return warn(name, "answers, and counts nobody", remedy_for(SignalReason.NO_TRAFFIC))
    measured = f", measured lag {reading.lag.total_seconds():.0f} s" if reading.lag is not None else ""
    covered = f", {reading.covered:.0%} of the time covered" if reading.covered < 1 else ""
    return ok(name, f"{seen}; complete until {lag.total_seconds():.0f} s ago{measured}{covered}")


def _seen(reading: Reading) -> str | None:
    """Return what was counted, in words; None when that is nobody."""
    errors = sum(one.errors + one.platform_errors for one in reading.samples)
    counted = [one.requests for one in reading.samples if one.requests is not None]
    if len(counted) < len(reading.samples):
        return f"{errors} errors, of an unknown number of requests"
    return f"{sum(counted)} requests, {errors} errors" if sum(counted) else None
