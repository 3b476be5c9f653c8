"""The request log's answers as models: strict about the fields that are counted by, blind to everything else."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, StrictBool, StrictStr, StringConstraints

from daemon.core.fingerprint import MESSAGE_CHARACTERS_MAX
from daemon.vercel.wire import PLATFORM_CODE, IsoTime, WireModel

DENIED = "deny"
"""What `wafAction` says of a request that the firewall turned away, which no deployment ever saw."""
_WORSE = {"warning": 1, "error": 2, "fatal": 3}
DURATION_MS_MAX = 3_600_000
"""Longer than any request takes."""


def read_duration(value: object) -> timedelta | None:
    """Return a duration from milliseconds; None for anything else, since nothing is counted by it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        return None
    return timedelta(milliseconds=min(value, DURATION_MS_MAX))


def read_text(value: object) -> str | None:
    """Return a text; None for anything else, since nothing rests on it but what is left out."""
    return value if isinstance(value, str) and value else None


Text = Annotated[str | None, BeforeValidator(read_text)]


def read_message(logs: object) -> str:
    """Return the first line of the worst level among *logs*, '' without one; nothing is counted by it."""
    lines = [one for one in logs if isinstance(one, dict)] if isinstance(logs, list) else []
    said = [one for one in lines if isinstance(one.get("message"), str)]
    worst = max(said, key=lambda one: _WORSE.get(str(one.get("level")), 0), default=None)
    return str(worst["message"])[:MESSAGE_CHARACTERS_MAX] if worst else ""


class LogRow(WireModel):
    """One request. `status` 0 or less: it has no answer. `deployment` '' or None: no deployment answered it.

    `timestamp` is when the request began, though the row appears when it has ended; `duration` is None where the
    row does not tell it. `message` is what a function printed meanwhile, '' for nothing. `route` is None for what
    no route answers, such as a file; `path` then says what was asked for.

    Source: Vercel CLI 58.4.4, `vercel logs`; the route is not in the OpenAPI and may change.
    """

    request_id: Annotated[StrictStr, StringConstraints(min_length=1, max_length=512)] = Field(alias="requestId")
    timestamp: IsoTime
    deployment: StrictStr | None = Field(alias="deploymentId")
    status: Annotated[int, Field(strict=True, ge=-1, le=999)] = Field(alias="statusCode")
    environment: Annotated[StrictStr, StringConstraints(max_length=100)] | None = None
    error_code: StrictStr | None = Field(None, alias="errorCode")
    route: Text = None
    path: Text = Field(None, alias="requestPath")
    waf_action: StrictStr | None = Field(None, alias="wafAction")
    duration: Annotated[timedelta | None, BeforeValidator(read_duration)] = Field(None, alias="requestDurationMs")
    message: Annotated[str, BeforeValidator(read_message)] = Field("", alias="logs")

    @property
    def is_failed(self) -> bool:
        """Whether the request was answered with 5xx, by the deployment or by the platform."""
        return 500 <= self.status <= 599

    @property
    def is_platforms(self) -> bool:
        """Whether the platform itself failed to answer."""
        return self.is_failed and (self.error_code or "").startswith(PLATFORM_CODE)

    @property
    def is_countable(self) -> bool:
        """Whether a deployment was asked and there is an answer: the firewall turned none away, nobody hung up."""
        return bool(self.deployment) and self.status > 0 and self.waf_action != DENIED

    @property
    def place(self) -> str | None:
        """What was asked for: the route, or the path of what has none; None where the row does not tell."""
        return self.route or self.path

    @property
    def ended_at(self) -> datetime:
        """When the request ended, as far as the row tells."""
        return self.timestamp + (self.duration or timedelta(0))


class LogPage(WireModel):
    """At most 50 rows, newest first; the server ignores a `limit`."""

    rows: list[LogRow]
    has_more: StrictBool = Field(alias="hasMoreRows")
