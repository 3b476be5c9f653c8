"""How Vercel's webhooks are received: a section of the configuration."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from daemon.vercel.fields import AbsolutePath

_TAKEN = frozenset({"/metrics", "/healthz", "/readyz"})


def _free(path: str) -> str:
    if path in _TAKEN:
        raise ValueError(f"{path} is what metrics and health are served under; write another one")
    return path


class WebhookReceiverSettings(BaseModel):
    """The receiver of Vercel's webhooks: it wakes a project at once when production moves. Polling stays the truth."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secret_files: tuple[AbsolutePath, ...] = Field(
        default=(),
        max_length=4,
        description="Files that each hold the secret of one webhook, or the old and the new one; none: no receiver.",
    )
    path: Annotated[
        str, StringConstraints(pattern=r"^(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$", max_length=200), AfterValidator(_free)
    ] = Field(default="/webhooks/vercel", description="Path under which webhooks are received.")
    event_age_max: timedelta = Field(
        default=timedelta(minutes=15),
        ge=timedelta(minutes=1),
        le=timedelta(hours=24),
        description="Age from which an event is taken note of no more: what it tells was long since polled.",
    )
    queue_events_max: int = Field(
        default=1_000, ge=1, le=100_000, description="Events that may wait to be told; Vercel sends further ones again."
    )
    body_bytes_max: int = Field(
        default=262_144, ge=1_024, le=4_194_304, description="Size in bytes of the largest webhook that is read."
    )
