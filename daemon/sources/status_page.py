"""The provider's status page, in the form that Statuspage gives it: an incident that is going on, or none."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from daemon.ports.clock import Clock
from daemon.ports.errors import Unintelligible
from daemon.sources.http import HttpReader, Network, ServerUrl, read_json
from daemon.vercel.answers import printable

PATH: Final = "/api/v2/summary.json"
BODY_BYTES_MAX = 1_000_000
TIMEOUT_SECONDS = 10.0
INCIDENTS_MAX = 100


class Impact(StrEnum):
    """How bad the provider says that it is, from nothing to the worst. Source: Statuspage API v2, incident `impact`."""

    NONE = "none"
    MAINTENANCE = "maintenance"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class StatusPageSettings(BaseModel):
    """Vercel's own word for it: while its status page tells of an incident bad enough, nothing is rolled back.

    It is a second opinion. A page that cannot be read, or that says nothing, stops nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: ServerUrl | None = Field(
        default=None, description="Where the status page is, such as https://www.vercel-status.com; none: not asked."
    )
    impact_min: Impact = Field(
        default=Impact.MAJOR, description="The least impact, as the page calls it, that makes the platform suspect."
    )

    def open(self, clock: Clock, *, network: Network | None = None) -> "StatuspageReader | None":
        """Return the reader; None without a page. *network* replaces the real one in tests."""
        return StatuspageReader(self.url, self.impact_min, clock, network=network) if self.url else None


class _Incident(BaseModel):
    """One incident that is not resolved. Words that we do not know are no reason to refuse the others."""

    name: Annotated[str, StringConstraints(max_length=2_000)]
    impact: Annotated[str, StringConstraints(max_length=100)]
    status: Annotated[str, StringConstraints(max_length=100)] = ""


class _Summary(BaseModel):
    """The whole page. Source: Statuspage API v2, `/summary.json`: `incidents` are those not resolved."""

    incidents: list[_Incident] = Field(max_length=INCIDENTS_MAX)


class StatuspageReader:
    """Implements `ports.status_page.StatusPage`."""

    def __init__(self, url: str, impact_min: Impact, clock: Clock, *, network: Network | None = None) -> None:
        self._url = url
        self._impact_min = impact_min
        self._clock = clock
        self._reader = HttpReader(
            url, timeout_seconds=TIMEOUT_SECONDS, body_bytes_max=BODY_BYTES_MAX, user_agent="lastgood", network=network
        )

    async def read_incident(self) -> str:
        """Return the worst incident that is bad enough, with its impact; '' without one."""
        async with self._reader.connect() as connection:
            answer = await connection.ask("GET", f"{self._url}{PATH}", what="status page")
        try:
            summary = _Summary.model_validate(read_json(answer, what="status page", now=self._clock.now()))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise Unintelligible(f"status page: {place}: {first['msg']}") from error
        order = list(Impact)
        bad = [one for one in summary.incidents if one.impact in order[order.index(self._impact_min) :]]
        worst = max(bad, key=lambda one: order.index(Impact(one.impact)), default=None)
        return f"{printable(worst.name)} ({worst.impact})" if worst else ""
