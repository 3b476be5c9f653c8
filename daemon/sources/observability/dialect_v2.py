"""The public dialect, `POST /v2/observability/query`: OData filters, flat rows, and an echo of the question."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field, StrictStr

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import Unintelligible
from daemon.sources.observability.minutes import HOUR
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
COUNTED = f"environment eq 'production' and waf_action ne 'deny' and http_status ge {STATUS_MIN}"
FAILED = f"{COUNTED} and http_status ge {ERROR_MIN} and http_status le {ERROR_MAX}"
FILTERS = {Asked.REQUESTS: COUNTED, Asked.ERRORS: FAILED, Asked.EVERYTHING: COUNTED}


def filter_of(question: Question) -> str:
    """Return the filter: a text stands in single quotes, and its own are doubled. Source: OData 4.01, part 2, URLs."""
    routes = (route.replace("'", "''") for route in question.exclusions.routes)
    return "".join([FILTERS[question.asked], *(f" and route ne '{route}'" for route in routes)])


class Echo(WireModel):
    """The query as the server understood it."""

    start: IsoTime = Field(alias="startTime")
    end: IsoTime = Field(alias="endTime")
    filter: StrictStr | None = None
    limit: Count = GROUPS_MAX


class SummaryRow(WireModel):
    """One group's count over the whole window."""

    project: StrictStr | None = Field(alias="project_id")
    deployment: StrictStr | None = Field(alias="deployment_id")
    status: Status = Field(NO_STATUS, alias="http_status")
    error_code: StrictStr | None = Field(None, alias="error_code")
    requests: Count = Field(alias="vercel_request_count_sum")


class DataRow(SummaryRow):
    """One group's count in one bucket, which begins at `timestamp`."""

    timestamp: IsoTime


class StatusSummaryRow(SummaryRow):
    """One group's count by status and error code, which must be there where they were asked for."""

    status: Status = Field(alias="http_status")
    error_code: StrictStr | None = Field(alias="error_code")


class StatusDataRow(StatusSummaryRow):
    """The same in one bucket, which begins at `timestamp`."""

    timestamp: IsoTime


class QueryAnswer(WireModel):
    """Source: Vercel OpenAPI, createObservabilityQuery; answers as published by its users."""

    query: Echo
    data: list[Any]
    summary: list[Any]


_DATA, _SUMMARY = Rows(DataRow, "project_id"), Rows(SummaryRow, "project_id")
_STATUS_DATA, _STATUS_SUMMARY = Rows(StatusDataRow, "project_id"), Rows(StatusSummaryRow, "project_id")


class V2:
    """Implements `question.Dialect`. Source: Vercel CLI 58.4.4, `vercel metrics`; OpenAPI, createObservabilityQuery."""

    path = "/v2/observability/query"

    def phrase(self, question: Question) -> Mapping[str, object]:
        """Return the body of the request."""
        by_status = ["http_status", "error_code"] if question.asked.is_by_status else []
        return {
            "scope": _scope(question),
            "metric": METRIC,
            "aggregation": "sum",
            "startTime": to_iso(question.start),
            "endTime": to_iso(question.end),
            "granularity": {"hours": 1} if question.step == HOUR else {"minutes": 1},
            "groupBy": ["project_id", "deployment_id", *by_status],
            "filter": filter_of(question),
            "limit": GROUPS_MAX,
        }

    def understand(self, answer: object, question: Question) -> Found:
        """Return what *answer* says. Raises Unintelligible for one that is not about *question*."""
        what, is_by_status = question.what, question.asked.is_by_status
        found = understand(QueryAnswer, answer, what=what)
        _check_echo(found.query, question)
        troubles: dict[ProjectId, Unintelligible] = {}
        buckets = (_STATUS_DATA if is_by_status else _DATA).read(found.data, what=what, troubles=troubles)
        summary = (_STATUS_SUMMARY if is_by_status else _SUMMARY).read(found.summary, what=what, troubles=troubles)
        # The server rounds windows out to whole buckets, so that one more may appear on either side.
        return Found(buckets, summary, min(found.query.limit, GROUPS_MAX), slack=question.step, troubles=troubles)


def _scope(question: Question) -> Mapping[str, object]:
    if question.projects is None:
        return {"type": "owner", "ownerId": question.owner}
    return {"type": "project", "ownerId": question.owner, "projectIds": list(question.projects)}


def _check_echo(echo: Echo, question: Question) -> None:
    """Refuse an answer to another question: windows outside the retention are silently moved by the server."""
    if (echo.start, echo.end) != (question.start, question.end):
        asked, got = _span(question.start, question.end), _span(echo.start, echo.end)
        raise Unintelligible(
            f"{question.what}: shifted window: asked {asked}, got {got}; taken as no answer",
            reason=SignalReason.SHIFTED_WINDOW,
        )
    if "filter" in echo.model_fields_set and echo.filter != filter_of(question):
        raise Unintelligible(f"{question.what}: the filter was not applied; taken as no answer")


def _span(start: datetime, end: datetime) -> str:
    return f"{to_iso(start)}..{to_iso(end)}"
