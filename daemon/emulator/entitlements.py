"""What a plan and its additions grant: who may read counts and request records, and how far back."""

from daemon.emulator.counts import MINUTES_KEPT
from daemon.emulator.durations import DAY_MS, HOUR_MS, MINUTE_MS
from daemon.emulator.errors import ApiError, bad_request, not_found, payment_required
from daemon.emulator.knobs import Knobs
from daemon.emulator.model import Project, Team, Token
from daemon.emulator.scenario import Plan

_LOGS_KEPT_MS = {Plan.HOBBY: HOUR_MS, Plan.PRO: DAY_MS, Plan.ENTERPRISE: 3 * DAY_MS}
_COUNTS_KEPT_MS = {Plan.HOBBY: 7 * DAY_MS, Plan.PRO: 30 * DAY_MS, Plan.ENTERPRISE: 30 * DAY_MS}
_PLUS_KEPT_MS = 30 * DAY_MS
COUNTS_REACH_MS = 92 * DAY_MS
"""How far back ``/metrics/v1`` lets a query begin at all, as observed live by others."""


def log_retention_ms(team: Team) -> int:
    """Return how long log rows are kept. Source: Vercel docs, Runtime Logs, "Limits"."""
    return _PLUS_KEPT_MS if team.observability_plus else _LOGS_KEPT_MS[team.plan]


def oldest_count_ms(team: Team, now_ms: int) -> int:
    """Return the instant before which *team* sees no counts: by its plan, or because the emulator keeps only a day."""
    return now_ms - min(_COUNTS_KEPT_MS[team.plan], MINUTES_KEPT * MINUTE_MS)


def require_paid(team: Team, what: str) -> None:
    """Refuse (402) to the hobby plan *what* only Pro and Enterprise have. Source: Vercel docs, of each of these."""
    if team.plan is Plan.HOBBY:
        raise payment_required(f"{what} are available on Pro and Enterprise plans.")


def require_counts(team: Team, knobs: Knobs) -> None:
    """Refuse (402) counts that the plan does not grant, as observed live by others."""
    if team.observability_plus or (team.plan is Plan.HOBBY and knobs.hobby_counts == "allowed"):
        return
    offer = " and is available on Pro and Enterprise plans" if team.plan is Plan.HOBBY else ""
    raise payment_required(f"Observability Plus is required to run this query for team {team.slug}{offer}.")


def require_request_records(team: Team, projects: list[Project]) -> None:
    """Refuse (402) records of CDN requests; log lines are free. Source: Vercel CLI 64.0.2, logs requests."""
    if not team.observability_plus and not all(project.spec.priority for project in projects):
        raise payment_required(f"Observability Plus is required to read CDN requests of team {team.slug}.")


def require_observability_token(token: Token) -> None:
    """Hide (404) everything observed from a project-scoped token, as observed live by others."""
    if token.projects is not None:
        raise not_found("Observability Data not found.")


def clamped_start_ms(team: Team, knobs: Knobs, *, start_ms: int, now_ms: int) -> int:
    """Return where a query of counts really begins: later than asked in silence, or a 400 (a knob)."""
    oldest_ms = oldest_count_ms(team, now_ms)
    if start_ms >= oldest_ms or knobs.metrics_retention == "clamped":
        return max(start_ms, oldest_ms)
    days = _COUNTS_KEPT_MS[team.plan] // DAY_MS
    raise _too_old(f"the {team.plan.value} plan only grants access to the latest {days} days of data.")


def _too_old(reason: str) -> ApiError:
    return bad_request(f"Invalid request: {reason}")
