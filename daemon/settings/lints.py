"""Settings that are allowed, and of which one makes another useless: gates that can never pass together."""

from collections.abc import Iterator
from datetime import timedelta

from daemon.core.guardrail import Posture
from daemon.detectors.threshold import Threshold
from daemon.settings.duration import format_duration
from daemon.settings.laws import Check, Violation, delay_of, each_project
from daemon.settings.model import Settings

MINUTE = timedelta(minutes=1)


def windows_outlast_the_lag(settings: Settings) -> Iterator[Violation]:
    """A detector's `window` shorter than a source's `lag` is over before anybody counts it: short, and no sooner."""
    for base, project in each_project(settings):
        slow, source = max(enumerate(project.sources), key=lambda entry: entry[1].lag)
        for index, detector in enumerate(project.detectors):
            if isinstance(detector, Threshold) and detector.window < source.lag:
                yield Violation(
                    ((*base, "detectors", index, "window"), (*base, "sources", slow, "lag")),
                    f"window {_text(detector.window)} is shorter than the lag {_text(source.lag)} of {source.kind}: it "
                    "is judged later than its length promises; write a longer one, which is steadier, or a shorter lag",
                )


def counts_can_be_young_enough(settings: Settings) -> Iterator[Violation]:
    """A `lag_max` that even the newest counts of a source exceed leaves the project blind for ever."""
    for base, project in each_project(settings):
        for index, source in enumerate(project.sources):
            if project.lag_max <= delay_of(source):
                yield Violation(
                    ((*base, "lag_max"), (*base, "sources", index, "lag")),
                    f"lag_max {_text(project.lag_max)} is not longer than the {_text(delay_of(source))} that even the "
                    f"newest counts of {source.kind} are old: by it the project is always blind, and nothing is done",
                )


def recovery_can_be_seen(settings: Settings) -> Iterator[Violation]:
    """A `verification_deadline` before the first counts that follow a rollback calls a person every time."""
    for base, project in each_project(settings):
        delay = max(delay_of(source) for source in project.sources) + settings.poll.interval
        if project.verification_deadline <= delay:
            yield Violation(
                ((*base, "verification_deadline"), ("poll", "interval")),
                f"verification_deadline {_text(project.verification_deadline)} is over before the first counts after a "
                f"rollback can be there ({_text(delay)}): no recovery is ever seen, and a person is called every time",
            )


def approvals_can_be_taken(settings: Settings) -> Iterator[Violation]:
    """An `approval_ttl` that ends between two polls is over before an approval is read."""
    for base, project in each_project(settings):
        if project.posture is Posture.APPROVE and project.approval_ttl <= settings.poll.interval:
            yield Violation(
                ((*base, "approval_ttl"), ("poll", "interval")),
                f"approval_ttl {_text(project.approval_ttl)} is not longer than interval "
                f"{_text(settings.poll.interval)}, at which approvals are read: most come too late",
            )


def errors_asked_for_can_decide(settings: Settings) -> Iterator[Violation]:
    """An `errors_per_minute_max` that `min_errors` of a window exceeds never decides: `min_errors` does."""
    for base, project in each_project(settings):
        for index, detector in enumerate(project.detectors):
            if not isinstance(detector, Threshold) or detector.errors_per_minute_max is None:
                continue
            errors = detector.errors_per_minute_max * (detector.window / MINUTE)
            if errors < detector.min_errors:
                yield Violation(
                    ((*base, "detectors", index, "errors_per_minute_max"), (*base, "detectors", index, "min_errors")),
                    f"errors_per_minute_max {detector.errors_per_minute_max} means {errors:g} errors in a window of "
                    f"{_text(detector.window)}, and min_errors {detector.min_errors} wants more: it alone decides",
                )


GATE_LINTS: tuple[Check, ...] = (
    windows_outlast_the_lag,
    counts_can_be_young_enough,
    recovery_can_be_seen,
    approvals_can_be_taken,
    errors_asked_for_can_decide,
)
"""Allowed, with a warning, beside those of `laws.py`."""


def _text(duration: timedelta) -> str:
    return format_duration(duration)
