"""What nobody outside Vercel knows, one knob a question; every default is the safer reading of it.

A world takes its knobs from its scenario; what the scenario leaves open comes from the environment variable
LASTGOOD_EMULATOR_KNOBS, so that a whole test suite can run under the other answers: ``other`` takes the other answer of
every knob, ``alias_rows=string,stale_reads_seconds=2`` that of some.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from daemon.emulator.strict import Strict

ENVIRONMENT_VARIABLE = "LASTGOOD_EMULATOR_KNOBS"


class Knobs(Strict):
    """Answers for what nobody outside Vercel knows; the defaults are the safer reading."""

    # Moves of production
    rollback_to_current: Literal[409, 422] = 409
    rollback_to_unpromoted: Literal[409, 422] = 422
    refusal_codes: Literal["specific", "bad_request"] = "specific"
    """``error.code`` of a refused move: one that names the status, or the general one."""
    payment_code: Literal["payment_required", "upgrade_required"] = "payment_required"
    """``error.code`` of a rollback that the plan does not grant."""
    promote_older: Literal["accept", "409", "422"] = "accept"
    """Promote of a deployment that served before and does not now."""
    pinned_reads_auto_assign_false: bool = True
    """Whether ``autoAssignCustomDomains`` reads false while the project is rolled back."""
    promote_sets_auto_assign: bool = True
    rollback_to_deleted: Literal[404, 410] = 404
    """Status of a move to a deployment that was deleted or has expired."""
    bypass_delay_seconds: float = Field(default=0.5, ge=0)
    """How long a new secret of the protection bypass does not open anything yet."""
    partial_job_moves_production: bool = False
    """Whether ``targets.production`` is the target after a job that moved only some domains."""
    aborted_canary_substate: Literal["STAGED", "PROMOTED"] = "STAGED"
    """What a canary is after its rolling release was aborted; PROMOTED makes it a rollback candidate."""

    # Reads
    alias_rows: Literal["nested", "string"] = "nested"
    alias_request: Literal["with-flag", "always"] = "with-flag"
    """Whether ``lastAliasRequest`` needs ``rollbackInfo=true``."""
    stale_reads_seconds: float = Field(default=0.0, ge=0, le=60)
    """How far ``targets.production`` and ``lastAliasRequest`` lag behind the alias job, as read from the project."""
    missing_team_id: Literal["default-team", "not-found"] = "default-team"
    project_token_moves: Literal["allowed", "forbidden"] = "allowed"  # noqa: S105 - no secret
    """Whether a project-scoped token may move the production of its project."""

    # Limits and retention
    rate_limit_per_minute: int | None = Field(default=None, ge=1)
    """None only reports a limit and never refuses."""
    rate_limit_headers: bool = True
    metrics_lag_seconds: float | None = Field(default=None, ge=0, le=600)
    """How old the newest visible counts are; None leaves it to the scenario's ``lag.metrics``."""
    hobby_counts: Literal["payment-required", "allowed"] = "payment-required"
    """Whether the hobby plan may query ``vercel.request.count``."""
    metrics_retention: Literal["clamped", "refused"] = "clamped"
    """What a query gets that begins before the counts do: a shorter window in silence, or a 400."""
    undocumented_routes: Literal["served", "gone"] = "served"
    """Whether ``/metrics/v1`` and ``/v1/observability/events``, which no document promises, are there."""

    # Deliveries
    drain_batch_entries: int = Field(default=100, ge=1, le=10_000)
    drain_retries: Literal["backoff", "none"] = "backoff"
    drain_verification: Literal["probe", "none"] = "probe"
    """Whether a drain's endpoint must answer with ``x-vercel-verify`` before the drain is made."""
    errored_drain: Literal["keeps-trying", "stops"] = "keeps-trying"
    """What becomes of later entries once a drain's status is ``errored``."""
    alerts_payload: Literal["group", "minimal"] = "group"
    """Whether the payload of ``alerts.triggered`` holds the group of alerts, or only its id."""

    @model_validator(mode="before")
    @classmethod
    def _filled_from_the_environment(cls, given: Any) -> Any:
        return {**environment_answers(os.environ), **given} if isinstance(given, Mapping) else given


OTHER_ANSWERS: Mapping[str, Any] = {
    "rollback_to_current": 422,
    "rollback_to_unpromoted": 409,
    "refusal_codes": "bad_request",
    "payment_code": "upgrade_required",
    "promote_older": "409",
    "pinned_reads_auto_assign_false": False,
    "promote_sets_auto_assign": False,
    "partial_job_moves_production": True,
    "aborted_canary_substate": "PROMOTED",
    "alias_rows": "string",
    "alias_request": "always",
    "stale_reads_seconds": 0.25,
    "missing_team_id": "not-found",
    "project_token_moves": "forbidden",
    "rate_limit_per_minute": 6_000,
    "rate_limit_headers": False,
    "metrics_lag_seconds": 45.0,
    "hobby_counts": "allowed",
    "metrics_retention": "refused",
    "undocumented_routes": "gone",
    "drain_batch_entries": 7,
    "drain_retries": "none",
    "drain_verification": "none",
    "errored_drain": "stops",
    "alerts_payload": "minimal",
    "rollback_to_deleted": 410,
    "bypass_delay_seconds": 0.0,
}
"""The other answer of every knob. Invariant: the same keys as ``Knobs``, and no value that is a default."""


def environment_answers(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the answers that LASTGOOD_EMULATOR_KNOBS of *environment* gives; an unknown name is a ValueError."""
    text = environment.get(ENVIRONMENT_VARIABLE, "").strip()
    if not text:
        return {}
    if text == "other":
        return dict(OTHER_ANSWERS)
    answers: dict[str, Any] = {}
    for part in text.split(","):
        name, separator, value = part.strip().partition("=")
        if name not in OTHER_ANSWERS:
            raise ValueError(f"{ENVIRONMENT_VARIABLE}: there is no knob {name!r}, only {sorted(OTHER_ANSWERS)}")
        answers[name] = _value(value) if separator else OTHER_ANSWERS[name]
    return answers


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
