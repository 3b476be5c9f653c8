"""What GETs of our own say of a site: whether it was served, and by which deployment. Pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from daemon.core.facts import DeploymentId, ErrorRateSample
from daemon.ports.errors import PortError, RateLimited, Unavailable, Unintelligible
from daemon.sources.http import DEPLOYMENT_ID, Answer, refuse
from daemon.vercel.wire import PLATFORM_CODE

MITIGATED, ERROR_CODE = "x-vercel-mitigated", "x-vercel-error"
"""Headers of the firewall, and of the platform where it answered in the site's place."""
ABSENT_CODE = "DEPLOYMENT_"
"""How error codes begin where nothing serves. Source: Vercel docs, "Error Codes"."""


class Outcome(Enum):
    """What one visit says of the site."""

    SERVED = auto()
    FAILED = auto()
    PLATFORM_FAILED = auto()
    INCONCLUSIVE = auto()
    """Neither: it was turned away on its way, or what it found is no page."""
    UNREACHED = auto()
    """No answer came, which is a failure where others had one."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One GET. `deployment` is '' where the answer does not name it, `told` what it said, in a few words.

    `status` is 0 where no answer came. One that is not `is_counted` was only to learn who serves.
    """

    outcome: Outcome
    told: str
    status: int = 0
    deployment: str = ""
    is_counted: bool = True


def judge(answer: Answer, *, what: str, deployment_header: str, is_counted: bool) -> Visit:
    """Return what *answer* says: 2xx is served, 5xx has failed, and anything else says nothing of the site.

    A redirect or 404 is often given before any function runs, and 401, 403 and 429 to us alone.
    """
    code = answer.headers.get(ERROR_CODE, "")
    named = answer.headers.get(deployment_header, "")
    outcome = Outcome.INCONCLUSIVE
    if answer.status // 100 == 2:
        outcome = Outcome.SERVED
    elif answer.status >= 500 and MITIGATED not in answer.headers and not code.startswith(ABSENT_CODE):
        outcome = Outcome.PLATFORM_FAILED if code.startswith(PLATFORM_CODE) else Outcome.FAILED
    deployment = named if DEPLOYMENT_ID.fullmatch(named) else ""
    return Visit(outcome, f"{what}: answered {answer.status}", answer.status, deployment, is_counted)


def count_visits(
    rounds: Sequence[Sequence[Visit]], *, began: datetime, ended: datetime, deployment_header: str
) -> Sequence[ErrorRateSample]:
    """Return one sample of each deployment that was met; each round is one domain's visits in order of time.

    Raises Unavailable where nothing answered, RateLimited or Refused where every visit was turned away, Unintelligible
    where a visit is nobody's: to leave it out would make a crash that does not say whose it is look healthy.
    """
    visits = [visit for one in rounds for visit in one]
    if all(visit.outcome is Outcome.UNREACHED for visit in visits):
        raise Unavailable(f"no visit had an answer, the first: {visits[0].told}")
    owned = [pair for one in rounds for pair in zip(_owners(one), one, strict=True)]
    telling = [(owner, visit.outcome) for owner, visit in owned if _tells(visit)]
    if not telling:
        raise _turned_away([visit for visit in visits if visit.is_counted])
    nobodys = [outcome for owner, outcome in telling if not owner]
    if nobodys:
        failed = sum(outcome is not Outcome.SERVED for outcome in nobodys)
        raise Unintelligible(
            f"{len(nobodys)} of {len(telling)} visits, {failed} of them failed, do not say which deployment served; "
            f"let the site send it as {deployment_header}, or name a static file that does as identity_path"
        )
    by_owner: dict[str, Counter[Outcome]] = defaultdict(Counter)
    for owner, outcome in telling:
        by_owner[owner][outcome] += 1
    return [_sample(owner, found, began, ended) for owner, found in sorted(by_owner.items())]


def _sample(deployment: str, found: Counter[Outcome], began: datetime, ended: datetime) -> ErrorRateSample:
    return ErrorRateSample(
        DeploymentId(deployment),
        began,
        ended,
        requests=found.total(),
        errors=found[Outcome.FAILED] + found[Outcome.UNREACHED],
        platform_errors=found[Outcome.PLATFORM_FAILED],
        is_sampled=True,
    )


def _tells(visit: Visit) -> bool:
    return visit.is_counted and visit.outcome is not Outcome.INCONCLUSIVE


def _owners(visits: Sequence[Visit]) -> Sequence[str]:
    """Return whose each visit is: whom it names, or else whom its nearest named neighbours on both sides name."""
    before, after = _carried(visits), _carried(visits[::-1])[::-1]
    return [one if one == other else "" for one, other in zip(before, after, strict=True)]


def _carried(visits: Sequence[Visit]) -> list[str]:
    """Return for each visit the last name until it."""
    carried: list[str] = []
    for visit in visits:
        carried.append(visit.deployment or (carried[-1] if carried else ""))
    return carried


def _turned_away(visits: Sequence[Visit]) -> PortError:
    first = next((visit for visit in visits if visit.status == 429), visits[0])
    sentence = f"no visit says anything of the site, the first: {first.told}"
    if first.status == 429:
        return RateLimited(sentence)
    return refuse(
        f"{sentence}; name paths that answer 200, and headers_file where a protection asks", status=first.status
    )
