"""Error rates from Prometheus, or a server that speaks its API: two PromQL expressions, per deployment and step."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from daemon.core.facts import ProjectId
from daemon.ports.errors import Misconfigured, PortError, Unintelligible
from daemon.ports.source import Reading, Readings, Source, Wanted
from daemon.sources.http import (
    Connection,
    HeadersFile,
    HttpReader,
    Network,
    ServerUrl,
    check_secrecy,
    read_json,
)
from daemon.sources.promql import MARK, Counts, Labels, judge, moments_between, read_series, sort_series
from daemon.vercel.fields import AbsolutePath
from daemon.vercel.wire import EPOCH

KIND: Final = "prometheus"
PROJECT, DEPLOYMENT, WINDOW = "{project}", "{deployment}", "{window}"
ANY_DEPLOYMENT = ".+"
"""What `{deployment}` stands for: a regular expression, since the answer is split by deployment anyway."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
HOUR = timedelta(hours=1)
LOOKBACK_STEPS_MIN = 2
PLAIN = r"[A-Za-z0-9_.-]{1,100}"
"""A text that ends no string of PromQL, whichever quotes it stands in. A dot means any character to `=~`."""

TENANT_HEADER = "x-scope-orgid"
_PLACEHOLDERS = re.compile("|".join(map(re.escape, (PROJECT, DEPLOYMENT, WINDOW))))

Expression = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,99}$")]
PlainText = Annotated[str, StringConstraints(pattern=f"^{PLAIN}$")]


class PrometheusSettings(BaseModel):
    """Counts from Prometheus, Thanos, Mimir, VictoriaMetrics or any other server with their API.

    Each expression gives, for a moment, how many requests (or 5xx answers) there were in the `{window}` before it, by
    project and deployment, such as
    `sum by (project, deployment) (increase(http_requests_total{environment="production"}[{window}]))`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["prometheus"] = KIND
    url: ServerUrl = Field(description="Address of the server, with the path before /api/v1 if there is one.")
    requests: Expression = Field(
        description="PromQL for all requests; {project}, {deployment} (with =~) and {window} are filled in."
    )
    errors: Expression = Field(description="PromQL for the 5xx answers among them, with the same placeholders.")
    missing_errors_are_zero: bool = Field(
        default=False,
        description="Whether requests without any value for errors beside them had none; "
        "true only if it is sure that the expression for errors finds them when there are some.",
    )
    project_label: LabelName = Field(default="project", description="Label that holds the project's id.")
    project_value: PlainText | None = Field(
        default=None,
        description="What that label says of this one project instead of its id; also fills in {project}.",
    )
    deployment_label: LabelName = Field(default="deployment", description="Label that holds the deployment's id.")
    step: timedelta = Field(
        default=timedelta(seconds=60),
        ge=timedelta(seconds=5),
        le=timedelta(minutes=10),
        description="Length of one count, {window}, in whole seconds; write four scrape intervals or more.",
    )
    lag: timedelta = Field(
        default=timedelta(seconds=30),
        ge=timedelta(0),
        le=timedelta(minutes=10),
        description="How long counts stay unread after their end, so that late scrapes can arrive.",
    )
    lookback_max: timedelta = Field(
        default=timedelta(minutes=5),
        ge=timedelta(minutes=1),
        le=timedelta(minutes=60),
        description="How far back one collection reaches after a pause, or for a project without counts; two steps or "
        "more. Older counts are never read.",
    )
    timeout: timedelta = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=1),
        le=timedelta(seconds=30),
        description="Time after which one query is given up.",
    )
    headers_file: AbsolutePath | None = Field(
        default=None,
        description="File of headers to send, one a line, such as `Authorization: Bearer ...`; read at each use.",
    )
    tenant: PlainText | None = Field(
        default=None, description="Tenant to ask for, sent as X-Scope-OrgID; Mimir and its relatives want one."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_secrecy(self.url, self.headers_file)
        if self.requests == self.errors:
            raise ValueError("requests and errors are the same expression, so that every request would be an error")
        if (PROJECT in self.requests) != (PROJECT in self.errors):
            raise ValueError("only one of requests and errors says {project}; write it in both, or in neither")
        if self.step % timedelta(seconds=1):
            raise ValueError(f"step is {self.step.total_seconds():g} s; write whole seconds")
        if self.lookback_max < LOOKBACK_STEPS_MIN * self.step:
            lookback, step = self.lookback_max.total_seconds(), self.step.total_seconds()
            raise ValueError(f"lookback_max {lookback:g} s is shorter than two steps of {step:g} s; lengthen it")
        return self

    @property
    def is_about_one_project(self) -> bool:
        """Whether one query answers for one project only."""
        return PROJECT in self.requests or self.project_value is not None

    def open(self, *, network: Network | None = None) -> Source:
        """Return the source that these settings describe; *network* replaces the real one in tests."""
        return Prometheus(self, network=network)


class Prometheus:
    """Implements `ports.source.Source` on `POST /api/v1/query_range`.

    **One answer.** Both expressions are asked as one query, so that numerator and denominator come from one evaluation
    of the same moments, which are whole steps since the epoch. Without `{project}` one query serves all projects.

    **What is not a zero.** A value that is NaN or infinite, a missing moment and a stale series give no sample; nor
    does a count that rounds to nothing. Requests without any series of errors beside them are refused, since nobody can
    tell a service without errors from an expression that never finds any; `missing_errors_are_zero`, or an expression
    that ends in `or 0 * <requests>`, says that it is the former. An answer with a warning, or marked as partial, is
    truncated; remarks on style are no warnings. The watermark is the newest moment that has all of a project's counts,
    so that it ages while series are missing.

    **Counts are estimates.** `increase()` extrapolates to the window's ends, so values are fractions and are rounded;
    what a counter shows at its first scrape is lost. Errors beyond the requests, or below zero, are refused.
    """

    name = KIND
    is_witness = False

    def __init__(self, settings: PrometheusSettings, *, network: Network | None = None) -> None:
        self.is_fleet_wide = not settings.is_about_one_project
        self._settings = settings
        self._network = network
        self._headers = HeadersFile(settings.headers_file) if settings.headers_file else None
        self._reader = HttpReader(
            settings.url,
            timeout_seconds=settings.timeout.total_seconds(),
            body_bytes_max=ANSWER_BYTES_MAX,
            user_agent="lastgood",
            network=network,
        )

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> Readings:
        """Return the counts of the whole steps from each `since` to *now* minus the lag.

        Nothing is asked where no step is complete yet. The step that `since` cuts is left out.
        """
        step = self._settings.step
        end = _floor(now - self._settings.lag, step)
        oldest = _ceil(end - self._settings.lookback_max, step)
        starts = {one.project: max(_ceil(one.since, step), oldest) for one in wanted}
        due = {project: start for project, start in starts.items() if start < end}
        batches = [due] if self.is_fleet_wide and due else [{project: start} for project, start in due.items()]
        readings: dict[ProjectId, Reading | PortError] = {one.project: Reading(KIND, (), one.since) for one in wanted}
        async with self._reader.connect() as connection:
            for found in await asyncio.gather(*(self._read(connection, one, end=end, now=now) for one in batches)):
                readings |= found
        return readings

    async def recall(self, projects: Sequence[ProjectId], *, since: datetime, now: datetime) -> Readings:
        """Return the whole hours from *since* on, up to where a first collection begins."""
        end = now - self._settings.lookback_max
        reach = end - since + 2 * HOUR
        hourly = Prometheus(
            self._settings.model_copy(update={"step": HOUR, "lookback_max": reach}), network=self._network
        )
        return await hourly.collect([Wanted(one, since) for one in projects], now=end)

    async def _read(
        self, connection: Connection, starts: Mapping[ProjectId, datetime], *, end: datetime, now: datetime
    ) -> Readings:
        """Return the readings of the projects that one query serves, each from its own start."""
        try:
            counts = await self._query(connection, list(starts), start=min(starts.values()), end=end, now=now)
        except PortError as error:
            return dict.fromkeys(starts, error)
        return {project: self._judge(counts[project], start=start, end=end) for project, start in starts.items()}

    async def _query(
        self, connection: Connection, projects: Sequence[ProjectId], *, start: datetime, end: datetime, now: datetime
    ) -> Mapping[ProjectId, Counts]:
        what = f"counts of {projects[0]}" if len(projects) == 1 else f"counts of {len(projects)} projects"
        moments = moments_between(start, end, self._settings.step)
        form = {
            "query": self._expression(projects[0]),
            "start": f"{min(moments):.0f}",
            "end": f"{max(moments):.0f}",
            "step": self._window,
            # VictoriaMetrics would move the window of a long query, so as to answer it from its cache.
            "nocache": "1",
        }
        url = f"{self._settings.url}/api/v1/query_range"
        answer = await connection.ask("POST", url, what=what, headers=self._own_headers(), form=form)
        series = read_series(read_json(answer, what=what, now=now), what=what)
        counts = {project: Counts() for project in projects}
        by_value = {self._value(project): found for project, found in counts.items()}
        if PROJECT in self._settings.requests:
            # The expression has chosen the project already, so its series need not say so again.
            by_value[""] = counts[projects[0]]
        labels = Labels(self._settings.project_label, self._settings.deployment_label)
        sort_series(series, by_value, labels=labels, moments=moments, what=what)
        return counts

    def _judge(self, counts: Counts, *, start: datetime, end: datetime) -> Reading | PortError:
        zero = self._settings.missing_errors_are_zero
        step = self._settings.step
        try:
            return judge(counts, source=KIND, start=start, end=end, step=step, missing_errors_are_zero=zero)
        except Unintelligible as error:
            return error

    def _expression(self, project: ProjectId) -> str:
        """Return both expressions as one, the series of each marked by a label of ours. Raises Misconfigured."""
        value = self._value(project)
        if PROJECT in self._settings.requests and not re.fullmatch(PLAIN, value):
            raise Misconfigured(f"{project!r} cannot stand in PromQL; set project_value to letters, digits, _ . and -")
        filled = {PROJECT: value, DEPLOYMENT: ANY_DEPLOYMENT, WINDOW: self._window}
        marked = []
        for mark, expression in (("requests", self._settings.requests), ("errors", self._settings.errors)):
            text = _PLACEHOLDERS.sub(lambda match: filled[match.group()], expression)
            # On lines of its own, so that a comment at its end ends there.
            marked.append(f'label_replace(\n{text}\n, "{MARK}", "{mark}", "{MARK}", "")')
        return "\nor\n".join(marked)

    def _value(self, project: ProjectId) -> str:
        return self._settings.project_value or project

    @property
    def _window(self) -> str:
        return f"{self._settings.step.total_seconds():.0f}s"

    def _own_headers(self) -> dict[str, str]:
        tenant = {TENANT_HEADER: self._settings.tenant} if self._settings.tenant else {}
        return {"accept": "application/json"} | tenant | (self._headers.read() if self._headers else {})


def _floor(moment: datetime, step: timedelta) -> datetime:
    """Return the last whole step since the epoch that is not after *moment*, in UTC."""
    return EPOCH + (moment.astimezone(UTC) - EPOCH) // step * step


def _ceil(moment: datetime, step: timedelta) -> datetime:
    floor = _floor(moment, step)
    return floor if floor == moment else floor + step
