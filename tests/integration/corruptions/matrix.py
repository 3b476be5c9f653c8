"""The corruptions as data: to which source each can happen, how it is inflicted, and what is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.core.signal import SignalReason as Reason
from tests.integration.corruptions import answers, batches
from tests.integration.corruptions.meddling import BatchEdit, Edit
from tests.integration.corruptions.subjects import Subject

BOMB_MB = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the emulator's own."""

    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """A change to each answer about counts."""

    edit: Edit


@dataclass(frozen=True, slots=True)
class Batches:
    """A change to each batch of the drain."""

    edit: BatchEdit


@dataclass(frozen=True, slots=True)
class Skew:
    """The daemon's wall clock steps."""

    ahead_seconds: float


Infliction = Fault | Answers | Batches | Skew


@dataclass(frozen=True, slots=True)
class Held:
    """It leaves nothing to go by: degraded at first, blind from the third poll on, and nothing is done."""

    reason: Reason
    other: Reason | None = None
    """Another one that is as right, depending on what the answer held before it was spoiled."""


@dataclass(frozen=True, slots=True)
class Fading:
    """It looks as if nobody came: the counts grow old, first `early` and then `later`, and nothing is done."""

    reasons: frozenset[Reason] = frozenset({Reason.LAGGING, Reason.NO_TRAFFIC})


@dataclass(frozen=True, slots=True)
class Absorbed:
    """It does no harm: what failed is rolled back while it lasts, and every request is counted once."""

    is_exact: bool = True


Fate = Held | Fading | Absorbed


@dataclass(frozen=True, slots=True)
class Case:
    """One corruption of one source."""

    corruption: str
    subject: Subject
    infliction: Infliction
    fate: Fate

    @property
    def id(self) -> str:
        return f"{self.corruption}-{self.subject}"


CLOSED = (Subject.V2, Subject.METRICS)
FINE = (Subject.V2_FINE, Subject.METRICS_FINE)
COUNTS = (*CLOSED, *FINE)
LOGS, DRAIN, PROMETHEUS, PROBE = Subject.REQUEST_LOGS, Subject.LOG_DRAIN, Subject.PROMETHEUS, Subject.PROBE
VERCELS = (*COUNTS, LOGS)
PULLED = (*VERCELS, PROMETHEUS)

DRIFT, SHIFTED, CUT, ODD = (
    Held(Reason.SCHEMA_DRIFT),
    Held(Reason.SHIFTED_WINDOW),
    Held(Reason.TRUNCATED),
    Held(Reason.INCONSISTENT),
)
UNREACHABLE, LIMITED, UNAUTHORIZED, REFUSED = (
    Held(Reason.UNREACHABLE),
    Held(Reason.RATE_LIMITED),
    Held(Reason.UNAUTHORIZED),
    Held(Reason.REFUSED),
)
HARMLESS = Absorbed()
NEARLY = Absorbed(is_exact=False)


def _all(corruption: str, subjects: tuple[Subject, ...], infliction: Infliction, fate: Fate) -> list[Case]:
    return [Case(corruption, subject, infliction, fate) for subject in subjects]


def _of_counts(subjects: tuple[Subject, ...], spec: Mapping[str, Any]) -> list[tuple[Subject, Fault]]:
    return [(one, Fault({**spec, "route": "request_logs" if one is LOGS else "observability"})) for one in subjects]


def _fault(corruption: str, subjects: tuple[Subject, ...], fate: Fate, **spec: Any) -> list[Case]:
    return [Case(corruption, subject, fault, fate) for subject, fault in _of_counts(subjects, spec)]


def _number(corruption: str, change: Any) -> list[Case]:
    return _all(corruption, VERCELS, Answers(answers.each_number(change)), DRIFT)


def _document(corruption: str, subjects: tuple[Subject, ...], change: Any, fate: Fate) -> list[Case]:
    return _all(corruption, subjects, Answers(answers.document(change)), fate)


def _pushed(corruption: str, edit: BatchEdit, fate: Fate) -> list[Case]:
    return [Case(corruption, DRAIN, Batches(edit), fate)]


def _queried(corruption: str, edit: Edit, fate: Fate) -> list[Case]:
    return [Case(corruption, PROMETHEUS, Answers(edit), fate)]


def _visited(corruption: str, edit: Edit, fate: Fate) -> list[Case]:
    return [Case(corruption, PROBE, Answers(edit), fate)]


def _half(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "timestamp": str(entry["timestamp"])}


HTML = b"<!doctype html><title>One moment, please</title>"

CASES: tuple[Case, ...] = (
    # The window
    *_fault("shifted-window", COUNTS, SHIFTED, kind="shifted-window", seconds=-120),
    *_fault("window-an-hour-ahead", (Subject.V2, Subject.V2_FINE), SHIFTED, kind="shifted-window", seconds=3600),
    # The newer dialect echoes nothing, so that a window without any row tells nothing either.
    *_fault(
        "window-an-hour-ahead", (Subject.METRICS, Subject.METRICS_FINE), Fading(), kind="shifted-window", seconds=3600
    ),
    *_document("buckets-of-another-hour", COUNTS, answers.moved(-7200), SHIFTED),
    *_document("rows-of-another-hour", (LOGS,), answers.moved(-7200), SHIFTED),
    *_queried("shifted-window", answers.each_value(lambda at, value: [at + 30, value]), SHIFTED),
    *_document("buckets-off-the-minute", COUNTS, answers.moved(13), DRIFT),
    *_all("open-minute-absent", CLOSED, Answers(answers.without_open_minute), HARMLESS),
    *_all("open-minute-absent", FINE, Answers(answers.without_open_minute), NEARLY),
    *_queried("newest-step-absent", answers.each_series(answers.without_newest), NEARLY),
    # How much of it there is
    *_fault("truncated-groups", (Subject.V2, Subject.V2_FINE), CUT, kind="truncate", groups=1),
    *_document("as-many-groups-as-fit", COUNTS, answers.five_hundred_groups, CUT),
    *_document("half-the-buckets", COUNTS, answers.half_the_parts, ODD),
    *_all("more-promised-than-given", (LOGS,), Answers(answers.promising_more), CUT),
    *_queried("partial-answer", answers.adding(isPartial=True), CUT),
    *_queried("partial-by-a-warning", answers.adding(warnings=["a store did not answer"]), CUT),
    *_all("cut-text", PULLED, Answers(answers.cut), DRIFT),
    *_pushed("cut-text", batches.text(lambda text: text[: len(text) // 2 + 7]), DRIFT),
    *_pushed("cut-gzip", batches.bytes_of(lambda body: body[:-9]), DRIFT),
    *_all("overlong", VERCELS, Answers(answers.overlong(BOMB_MB)), DRIFT),
    *_queried("overlong", answers.overlong(BOMB_MB), CUT),
    *_all("gzip-bomb", VERCELS, Answers(answers.bomb(BOMB_MB)), DRIFT),
    *_queried("gzip-bomb", answers.bomb(BOMB_MB), DRIFT),
    *_pushed("gzip-bomb", batches.bomb(4), Held(Reason.OVERFLOWING)),
    *_visited("gzip-bomb", answers.bomb(BOMB_MB), NEARLY),
    # Counted twice, or in another order
    *_document("duplicate-rows", COUNTS, answers.twice, ODD),
    *_document("duplicate-rows", (LOGS,), answers.every_row_twice_on_the_page, HARMLESS),
    *_fault("small-pages", (LOGS,), HARMLESS, kind="page", rows=40),
    *_queried("duplicate-series", answers.document(answers.series_twice), ODD),
    *_pushed("replayed-batches", batches.replayed, HARMLESS),
    *_document("out-of-order", CLOSED, answers.backwards, HARMLESS),
    *_document("out-of-order", FINE, answers.backwards, NEARLY),
    *_document("out-of-order", (LOGS,), answers.backwards, ODD),
    *_queried("out-of-order", answers.each_series(answers.newest_again), ODD),
    *_pushed("out-of-order", batches.shuffled, HARMLESS),
    # Late
    *_fault("late-counts", CLOSED, HARMLESS, kind="ingest-lag", seconds=100),
    *_fault("late-counts", FINE, NEARLY, kind="ingest-lag", seconds=60),
    *_fault("late-counts", (LOGS,), HARMLESS, kind="ingest-lag", seconds=15),
    *_pushed("late-counts", batches.late, HARMLESS),
    *_fault("ingestion-stands-still", COUNTS, Fading(), kind="ingest-lag", seconds=900),
    # Numbers that are none
    *_number("negative", lambda _n: -7),
    *_number("nan", lambda _n: float("nan")),
    *_number("infinite", lambda _n: float("inf")),
    *_number("number-as-text", str),
    *_number("fraction", lambda n: n + 0.5),
    *_number("null-number", lambda _n: None),
    *_number("boolean-number", lambda _n: True),
    *_queried("negative", answers.each_value(lambda at, _value: [at, "-3"]), ODD),
    *_queried("nan", answers.each_value(lambda at, _value: [at, "NaN"]), Fading()),
    *_queried("nan-errors", answers.each_value(lambda at, _value: [at, "NaN"], mark="errors"), Fading()),
    *_queried("infinite", answers.each_value(lambda at, _value: [at, "+Inf"]), Fading()),
    *_queried("text-for-a-number", answers.each_value(lambda at, _value: [at, "many"]), DRIFT),
    *_queried("number-for-a-text", answers.each_value(lambda at, value: [at, int(value)]), DRIFT),
    *_pushed("nan", batches.text(lambda text: text.replace(b'"statusCode": 200', b'"statusCode": NaN')), DRIFT),
    *_pushed("number-as-text", batches.each_entry(_half), DRIFT),
    *_pushed("fraction", batches.each_entry(lambda one: {**one, "timestamp": one["timestamp"] + 0.5}), DRIFT),
    # Counts that cannot be
    *_all("ratio-over-1", CLOSED, Answers(answers.more_errors_than_requests), ODD),
    *_queried("ratio-over-1", answers.each_value(lambda at, _value: [at, "99999"], mark="errors"), ODD),
    *_all("lists-that-disagree", (LOGS,), Answers(answers.others_missing_from_all), ODD),
    *_queried("no-errors-series", answers.document(answers.without_errors), ODD),
    *_document("rows-of-preview", (LOGS,), answers.of_preview, ODD),
    # Nothing
    *_document("nothing-but-zeros", COUNTS, answers.nothing_but_zeros, Fading()),
    *_document("no-rows", COUNTS, answers.no_rows, Fading()),
    *_queried(
        "no-series", answers.document(lambda one: {**one, "data": {"resultType": "matrix", "result": []}}), Fading()
    ),
    *_all("empty-200", PULLED, Answers(answers.body(b"")), DRIFT),
    *_pushed("lost-batches", batches.lost, UNREACHABLE),
    # The form
    *_document("missing-number", VERCELS, answers.without_number, DRIFT),
    *_document("missing-deployment", VERCELS, answers.without_deployment, DRIFT),
    # Two deployments without their label are one group that is counted twice.
    *_queried(
        "missing-deployment", answers.without_label("deployment"), Held(Reason.SCHEMA_DRIFT, Reason.INCONSISTENT)
    ),
    *_queried("missing-project", answers.without_label("project"), DRIFT),
    *_queried("missing-mark", answers.without_label("lastgood_count"), DRIFT),
    *_pushed("missing-deployment", batches.each_entry(batches.without("deploymentId")), DRIFT),
    *_pushed("missing-project", batches.each_entry(batches.without("projectId")), DRIFT),
    *_visited("missing-deployment", answers.unnamed, DRIFT),
    *_visited("deployment-of-no-form", answers.named("the new one"), DRIFT),
    *_document("list-for-an-object", PULLED, lambda one: [one], DRIFT),
    *_document("null-for-an-object", PULLED, lambda _one: None, DRIFT),
    *_document("empty-object", PULLED, lambda _one: {}, DRIFT),
    *_document("unknown-fields", (*CLOSED, LOGS), answers.an_unknown_field, HARMLESS),
    *_document("unknown-fields", FINE, answers.an_unknown_field, NEARLY),
    *_queried("unknown-fields", answers.adding(newInThisRelease={"a": 1}), HARMLESS),
    *_pushed("unknown-fields", batches.each_entry(lambda one: {**one, "new": {"a": 1}}), HARMLESS),
    *_fault("html-with-200", VERCELS, DRIFT, kind="html"),
    *_queried("html-with-200", answers.body(HTML, content_type="text/html"), DRIFT),
    *_pushed("html-batch", batches.text(lambda _text: HTML), DRIFT),
    *_pushed("other-json-batch", batches.text(lambda _text: b'{"hello": "world"}\n'), DRIFT),
    # No
    *_fault("429-storm", VERCELS, LIMITED, kind="status", status=429, retry_after_seconds=60),
    *_fault("429-without-a-time", VERCELS, LIMITED, kind="status", status=429),
    *_queried("429-storm", answers.status(429, retry_after="60"), LIMITED),
    *_visited("429-storm", answers.status(429), LIMITED),
    *_fault("401-midway", VERCELS, UNAUTHORIZED, kind="status", status=401),
    *_queried("401-midway", answers.status(401), UNAUTHORIZED),
    *_visited("401-midway", answers.status(401, x_deployment_id="dpl_1"), UNAUTHORIZED),
    *_fault("403-midway", VERCELS, UNAUTHORIZED, kind="status", status=403),
    *_fault("402-midway", VERCELS, Held(Reason.PLAN), kind="status", status=402),
    *_queried("400", answers.status(400), REFUSED),
    *_all("redirect", PULLED, Answers(answers.status(302, location="https://example.com/login")), DRIFT),
    *_visited("redirect", answers.status(302, location="https://example.com/login"), REFUSED),
    # No answer
    *_fault("500-storm", VERCELS, UNREACHABLE, kind="status", status=500),
    *_queried("500-storm", answers.status(503), UNREACHABLE),
    *_fault("resets", VERCELS, UNREACHABLE, kind="reset"),
    *_all("resets", (PROMETHEUS, PROBE), Answers(answers.reset), UNREACHABLE),
    *_fault("slower-than-the-time-out", VERCELS, Held(Reason.UNREACHABLE, Reason.LAGGING), kind="slow", delay="40s"),
    # Whose word it is
    *_pushed("wrong-signature", batches.signed_by_others, UNREACHABLE),
    *_pushed("no-signature", batches.unsigned, UNREACHABLE),
    *_pushed("forged-beside-good", batches.forged, HARMLESS),
    # Clocks
    *_all("clock-30-s-ahead", (*CLOSED, DRAIN), Skew(30), HARMLESS),
    # The watermark of the log lies ahead of the world, so that the last rows are still to come.
    *_all("clock-30-s-ahead", (*FINE, LOGS, PROMETHEUS, PROBE), Skew(30), NEARLY),
    *_all("clock-30-s-behind", (*CLOSED, LOGS, DRAIN), Skew(-30), HARMLESS),
    *_all("clock-30-s-behind", (*FINE, PROMETHEUS, PROBE), Skew(-30), NEARLY),
)
