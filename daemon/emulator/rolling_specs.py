"""What a rolling release may be configured to do: stages, how they advance, and Vercel's own gate; strictly read."""

import itertools
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from daemon.emulator.strict import RequestBody, body_of


class StageSpec(RequestBody):
    """One stage. ``duration`` is in minutes; None waits for an approval (or, in the last stage, for nothing)."""

    target_percentage: float = Field(ge=0, le=100)
    duration: float | None = Field(default=None, gt=0, le=10_080)
    linear_shift: bool = False
    require_approval: bool = False


class CheckSpec(RequestBody):
    """What the gate looks at. Source: Vercel OpenAPI, getRollingReleaseConfig, gate.checks, and its defaults."""

    type: Literal["error-rate-5xx"] = "error-rate-5xx"
    min_sample_size: int = Field(default=100, ge=1)
    ingest_watermark_seconds: int = Field(default=30, ge=0, le=600)
    exclude_paths: tuple[str, ...] = ()
    exclude_status_codes: tuple[int, ...] = ()


class GateSpec(RequestBody):
    """Vercel's own controller: it trips when enough of the last evaluations failed."""

    enabled: bool = True
    dry_run: bool = False
    action: Literal["pause", "rollback"] = "pause"
    failure_threshold: int = Field(default=3, ge=1, le=100)
    window_size: int = Field(default=5, ge=1, le=100)
    checks: tuple[CheckSpec, ...] = (CheckSpec(),)


class RollingReleaseConfig(RequestBody):
    """The configuration of a project. Source: Vercel CLI 64.0.2, rolling-release configure; Vercel OpenAPI."""

    enabled: Literal[True] = True
    advancement_type: Literal["automatic", "manual-approval"] = "manual-approval"
    stages: tuple[StageSpec, ...] = Field(min_length=2, max_length=10)
    canary_response_header: bool = False
    gate: GateSpec | None = None
    target: Literal["production"] = "production"

    @model_validator(mode="after")
    def _stages_climb_to_the_whole(self) -> Self:
        shares = [stage.target_percentage for stage in self.stages]
        if shares[-1] != 100:
            raise ValueError("The last stage must have a `targetPercentage` of 100.")
        if any(later <= earlier for earlier, later in itertools.pairwise(shares)):
            raise ValueError("Stage percentages must be in ascending order.")
        if self.advancement_type == "automatic":
            if any(stage.duration is None and not stage.require_approval for stage in self.stages[:-1]):
                raise ValueError("Duration is required for each stage when advancement type is `automatic`.")
        elif any(stage.duration is not None for stage in self.stages):
            raise ValueError("Duration must not be provided when advancement type is `manual-approval`.")
        return self

    def as_json(self) -> dict[str, Any]:
        """Return the configuration as the API shows it, without what nobody set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def parse_config(body: dict[str, Any]) -> RollingReleaseConfig | None:
    """Return the configuration that *body* asks for; None when it switches rolling releases off; else a 400."""
    if body.get("enabled") is False:
        return None
    return body_of(RollingReleaseConfig, body)
