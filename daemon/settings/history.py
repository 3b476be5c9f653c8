"""What the daemon's own past says of thresholds: those that everyday traffic breaks, and those it can never reach."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from daemon.core.facts import ErrorRateSample
from daemon.detectors.threshold import Threshold
from daemon.settings.laws import Violation
from daemon.settings.model import Settings

WINDOWS_MIN = 30
"""Fewer windows than this are no past to judge by."""


@dataclass(frozen=True, slots=True)
class _Counts:
    requests: int
    errors: int


def judge_by_history(settings: Settings, index: int, samples: Sequence[ErrorRateSample]) -> Iterator[Violation]:
    """Yield what *samples*, all that is remembered of one project, say against the thresholds of its entry *index*.

    A window is as long as the detector's, and a sample belongs to the one in which it begins. The middle window stands
    for everyday: half an hour of trouble in a day does not move it. Errors counted alone say nothing here.
    """
    for number, detector in enumerate(settings.projects[index].detectors):
        if not isinstance(detector, Threshold) or not detector.needs_requests:
            continue
        windows = _windows(samples, detector.window)
        if len(windows) < WINDOWS_MIN:
            continue
        base = ("projects", index, "detectors", number)
        busiest = max(one.requests for one in windows)
        if busiest < detector.min_requests:
            yield Violation(
                ((*base, "min_requests"), base),
                f"min_requests {detector.min_requests} was never met: the busiest of {len(windows)} windows on record "
                f"had {busiest} requests, so that nothing would ever be called bad; write less, or a longer window",
            )
            continue
        ratio = median(one.errors / one.requests for one in windows if one.requests >= detector.min_requests)
        if ratio >= detector.max_error_rate:
            yield Violation(
                ((*base, "max_error_rate"), base),
                f"max_error_rate {detector.max_error_rate:g} is everyday: of the windows on record that have enough "
                f"requests the middle one failed at {ratio:.2g}; write more than that, or mend those errors first",
            )


def _windows(samples: Sequence[ErrorRateSample], length: timedelta) -> Sequence[_Counts]:
    """Return the counts of each deployment in each window in which somebody visited it."""
    requests: dict[tuple[str, int], int] = defaultdict(int)
    errors: dict[tuple[str, int], int] = defaultdict(int)
    for sample in samples:
        if sample.requests:
            key = sample.deployment, int(sample.start.timestamp() // length.total_seconds())
            requests[key] += sample.requests
            errors[key] += sample.errors
    return [_Counts(count, errors[key]) for key, count in requests.items()]
