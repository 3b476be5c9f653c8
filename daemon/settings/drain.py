"""The settings of the receiver of log drains, inside the daemon or as a process of its own."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from daemon.vercel.fields import AbsolutePath, ListeningHost

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
KIB, MIB = 1024, 1024 * 1024


class DrainReceiverSettings(BaseModel):
    """Receives Vercel's log drains, for the source `log_drain`; it is there when `secret_files` names a file.

    Every drain signs with a secret of its own, which has a file of its own; the file may hold several, one a line,
    while a secret is rotated. It is read again when it changes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secret_files: tuple[AbsolutePath, ...] = Field(
        default=(), max_length=8, description="Files that hold the drains' secrets, one file for each drain."
    )
    runs_inside: bool = Field(
        default=True,
        description="Whether the daemon receives by itself, on web.port; false where `lastgood drain` runs beside it.",
    )
    path: Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._~-]{1,60}){1,4}$")] = Field(
        default="/drain", description="Path of the drains' endpoint."
    )
    verify_code: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")] | None = Field(
        default=None, description="What Vercel wants to see in x-vercel-verify, to believe that the endpoint is yours."
    )
    host: ListeningHost = Field(
        default="127.0.0.1", description="Address that `lastgood drain` listens on; 0.0.0.0 for all."
    )
    port: int = Field(default=9465, ge=0, le=65535, description="Port of `lastgood drain`; 0 takes any free one.")
    metrics_host: ListeningHost = Field(
        default="127.0.0.1",
        description="Address of the metrics and health of `lastgood drain`; 0.0.0.0 for all.",
    )
    metrics_port: int = Field(
        default=9466,
        ge=0,
        le=65535,
        description="Port of those: never the one that the drain itself comes in by. 0 takes any free one.",
    )
    body_bytes_max: int = Field(
        default=8 * MIB, ge=64 * KIB, le=64 * MIB, description="Largest batch that is read, in bytes as sent."
    )
    inflated_bytes_max: int = Field(
        default=64 * MIB, ge=64 * KIB, le=1024 * MIB, description="Largest batch that is decoded, in bytes of text."
    )
    queue_bytes_max: int = Field(
        default=64 * MIB, ge=64 * KIB, le=1024 * MIB, description="Bytes of all batches that are on their way in."
    )
    queue_events_max: int = Field(
        default=1_000_000,
        ge=1_000,
        le=100_000_000,
        description="Requests that may wait for the store; while there are more, batches are answered with 503.",
    )
    requests_remembered_max: int = Field(
        default=1_000_000,
        ge=1_000,
        le=100_000_000,
        description="Requests that are remembered, at about 200 bytes each, so that none is counted twice.",
    )
    requests_remembered_for: timedelta = Field(
        default=15 * MINUTE,
        ge=MINUTE,
        le=HOUR,
        description="How long a request is remembered; older entries are not counted.",
    )
    routes_max: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Routes and statuses of one deployment that are told apart within ten seconds.",
    )
    handover_interval: timedelta = Field(
        default=SECOND, ge=SECOND, le=10 * SECOND, description="Time between two writes of counts to the store."
    )
    keep: timedelta = Field(default=2 * HOUR, ge=HOUR, le=24 * HOUR, description="How long counts are kept.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in ("queue_bytes_max", "inflated_bytes_max"):
            if getattr(self, name) < self.body_bytes_max:
                message = f"{name} {getattr(self, name)} is less than body_bytes_max {self.body_bytes_max}; write more"
                raise ValueError(message)
        if self.metrics_port == self.port != 0:
            raise ValueError(f"metrics_port and port are both {self.port}; metrics are not for whoever sends the drain")
        names = [path.name for path in self.secret_files]
        if len(set(names)) < len(names):
            raise ValueError(f"two secret_files have the same name ({', '.join(names)}); name each for its drain")
        return self
