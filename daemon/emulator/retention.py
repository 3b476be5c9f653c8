"""When a deployment's retention is over: old ones vanish, save those that serve and the newest of production."""

from collections.abc import Iterable

from daemon.emulator.model import Deployment, Project, ReadyState
from daemon.emulator.project_specs import ExpirationSpec


def has_expired(deployment: Deployment, project: Project, siblings: Iterable[Deployment], now_ms: int) -> bool:
    """Tell whether *deployment* is gone at *now_ms* by its age alone.

    Source: Vercel docs, Deployment Retention: what a production domain points to stays, and so do the newest
    production deployments that are ready (``keep`` of them).
    """
    spec = project.spec.expiration
    if now_ms - deployment.created_at_ms <= lifetime_ms(deployment, spec):
        return False
    if deployment.id == project.production_id or deployment.id in project.assigned(now_ms).values():
        return False
    is_kept_kind = deployment.is_production and deployment.ready_state is ReadyState.READY
    return not is_kept_kind or _newer(deployment, siblings) >= spec.keep


def lifetime_ms(deployment: Deployment, spec: ExpirationSpec) -> int:
    """Return how old *deployment* may become, in milliseconds."""
    if deployment.ready_state is ReadyState.ERROR:
        return spec.errored_ms
    if deployment.ready_state is ReadyState.CANCELED:
        return spec.canceled_ms
    return spec.production_ms if deployment.is_production else spec.preview_ms


def _newer(deployment: Deployment, siblings: Iterable[Deployment]) -> int:
    """Return how many ready production deployments are newer."""
    return sum(
        other.is_production
        and other.ready_state is ReadyState.READY
        and other.deleted_at_ms is None
        and other.created_at_ms > deployment.created_at_ms
        for other in siblings
    )
