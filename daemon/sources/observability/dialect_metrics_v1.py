"""The newer dialect, `POST /metrics/v1`: KQL filters, dimensions in camel case, and no echo of the question."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field, StrictStr

from daemon.core.facts import ProjectId
from daemon.ports.errors import Unintelligible
from daemon.sources.observability.minutes import ceil_minute
from daemon.sources.observability.question import (
    ERROR_MAX,
    ERROR_MIN,
    GROUPS_MAX,
    METRIC,
    STATUS_MIN,
    Asked,
    Found,
    Question,
)
from daemon.sources.observability.rows import NO_STATUS, Count, Rows, Status
from daemon.vercel.wire import IsoTime, WireModel, to_iso, understand

# Denied requests carry the firewall's 403, not the site's answer: in an attack they would drown every error.
COUNTED = f'(environment:"production") AND (NOT wafAction:"deny") AND (httpStatus >= {STATUS_MIN})'
FAILED = f"{COUNTED} AND (httpStatus >= {ERROR_MIN} AND httpStatus <= {ERROR_MAX})"
FILTERS = {Asked.REQUESTS: COUNTED, Asked.ERRORS: FAILED, Asked.EVERYTHING: COUNTED}


def filter_of(question: Question) -> str:
    """Return the filter: a text stands in double quotes, in which a backslash takes away what a sign means."""
    routes = (route.replace("\\", "\\\\").replace('"', '\\"') for route in question.exclusions.routes)
    return "".join([FILTERS[question.asked], *(f' AND (NOT route:"{route}")' for route in routes)])


class Dimensions(WireModel):
    """What one group is."""

    project: StrictStr | None = Field(alias="projectId")
    deployment: StrictStr | None = Field(alias="deploymentId")
    status: Status = Field(NO_STATUS, alias="httpStatus")
    error_code: StrictStr | None = Field(None, alias="errorCode")


class StatusDimensions(Dimensions):
    """The same by status and error code, which then must be there."""

    status: Status = Field(alias="httpStatus")
    error_code: StrictStr | None = Field(alias="errorCode")


class Values(WireModel):
    """What was counted of it."""

    requests: Count = Field(alias="value")


class SummaryPoint(WireModel):
    """One group's count over the whole window."""

    dimensions: Dimensions
    values: Values

    @property
    def project(self) -> str | None:
        """The project's id."""
        return self.dimensions.project

    @property
    def deployment(self) -> str | None:
        """The deployment's id."""
        return self.dimensions.deployment

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.dimensions.status

    @property
    def error_code(self) -> str | None:
        """Vercel's own word for the error."""
        return self.dimensions.error_code

    @property
    def requests(self) -> int:
        """How many."""
        return self.values.requests


class SeriesPoint(SummaryPoint):
    """One group's count in one bucket, which begins at `timestamp`."""

    timestamp: IsoTime


class StatusSummaryPoint(SummaryPoint):
    """One group's count over the whole window, by status and error code."""

    dimensions: StatusDimensions


class StatusSeriesPoint(StatusSummaryPoint):
    """One group's count in one bucket, by status and error code."""

    timestamp: IsoTime


class MetricsAnswer(WireModel):
    """Source: Vercel CLI 64.0.2, `vercel metrics`, which reads `summary` and `series`."""

    series: list[Any]
    summary: list[Any]


_KEYS = ("dimensions", "projectId")
_SERIES, _SUMMARY = Rows(SeriesPoint, *_KEYS), Rows(SummaryPoint, *_KEYS)
_STATUS_SERIES, _STATUS_SUMMARY = Rows(StatusSeriesPoint, *_KEYS), Rows(StatusSummaryPoint, *_KEYS)


class MetricsV1:
    """Implements `question.Dialect`. Source: Vercel CLI 64.0.2, `vercel metrics`; the route is not in the OpenAPI.

    Nothing in an answer repeats the question: a shifted window shows in the times of its buckets alone, and a limit
    lower than the one that was asked for does not show.
    """

    path = "/metrics/v1"

    def phrase(self, question: Question) -> Mapping[str, object]:
        """Return the body of the request; the window's end is rounded up, as the CLI does it."""
        some = {} if question.projects is None else {"projectIds": list(question.projects)}
        by_status = ["httpStatus", "errorCode"] if question.asked.is_by_status else []
        return {
            "scope": {"ownerId": question.owner, **some},
            "timeRange": {"start": to_iso(question.start), "end": to_iso(ceil_minute(question.end))},
            "bucketSeconds": int(question.step.total_seconds()),
            "groupBy": ["projectId", "deploymentId", *by_status],
            "filter": filter_of(question),
            "metrics": {"value": {"metric": METRIC, "aggregation": "count"}},
            "outputs": ["value"],
            "seriesSelection": {
                "limit": GROUPS_MAX,
                "mode": "exact",
                "rankBy": [{"metric": "value", "direction": "desc"}],
            },
        }

    def understand(self, answer: object, question: Question) -> Found:
        """Return what *answer* says. Raises Unintelligible for one that is not of the form that the CLI reads."""
        what, is_by_status = question.what, question.asked.is_by_status
        found = understand(MetricsAnswer, answer, what=what)
        troubles: dict[ProjectId, Unintelligible] = {}
        buckets = (_STATUS_SERIES if is_by_status else _SERIES).read(found.series, what=what, troubles=troubles)
        summary = (_STATUS_SUMMARY if is_by_status else _SUMMARY).read(found.summary, what=what, troubles=troubles)
        return Found(buckets, summary, GROUPS_MAX, slack=timedelta(0), troubles=troubles)
