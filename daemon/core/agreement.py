"""Whether two sources tell the same story of the same time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.core import binomial
from daemon.core.facts import DeploymentId, ErrorRateSample

RATIO_DIFFERENCE_MAX = 0.02
"""Error ratios that differ by less are the same story: two sources cut time and count visitors a little differently."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests and errors of one deployment over some time."""

    requests: int
    errors: int

    @property
    def ratio(self) -> float:
        """Errors by requests, 0..1; 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def limits(self) -> tuple[float, float]:
        """The one-sided 95 % Clopper-Pearson limits of the error ratio, lower and upper."""
        return binomial.lower_limit(self.errors, self.requests), binomial.upper_limit(self.errors, self.requests)


def tally(samples: Iterable[ErrorRateSample], *, start: datetime, end: datetime) -> Mapping[DeploymentId, Tally]:
    """Return what whole samples within [start, end) count of each deployment. Counts without requests are left out."""
    requests: dict[DeploymentId, int] = defaultdict(int)
    errors: dict[DeploymentId, int] = defaultdict(int)
    for one in samples:
        if one.requests is not None and start <= one.start and one.end <= end:
            requests[one.deployment] += one.requests
            errors[one.deployment] += one.errors + one.platform_errors
    return {deployment: Tally(count, errors[deployment]) for deployment, count in requests.items() if count}


def find_disagreement(
    judged: Mapping[DeploymentId, Tally], other: Mapping[DeploymentId, Tally]
) -> tuple[DeploymentId, Tally, Tally] | None:
    """Return the first deployment of which both know, and whose error ratios cannot both be right; None if none.

    They cannot when they differ by more than RATIO_DIFFERENCE_MAX and their confidence limits do not overlap, so that
    a sample that happened to catch few errors is no contradiction. Silence of one source is not another story: no data
    is not zero errors.
    """
    for deployment in sorted(judged.keys() & other.keys()):
        one, two = judged[deployment], other[deployment]
        (one_low, one_high), (two_low, two_high) = one.limits, two.limits
        if abs(one.ratio - two.ratio) > RATIO_DIFFERENCE_MAX and (one_high < two_low or two_high < one_low):
            return deployment, one, two
    return None
