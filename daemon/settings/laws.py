"""What must hold between keys, refused with both numbers and never adjusted; and what is allowed but unwise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from daemon.guardrails.cooldown import Cooldown
from daemon.guardrails.freshness import Freshness
from daemon.settings.duration import format_duration
from daemon.settings.model import ProjectSettings, Settings, is_loopback
from daemon.settings.problem import Location
from daemon.settings.tokens import TokenFile
from daemon.sources.request_logs import RequestLogsSettings

KINDED = ("sources", "detectors", "guardrails")


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong between the keys at `inputs`, of which the first one that somebody wrote is to blame."""

    inputs: tuple[Location, ...]
    message: str


Check = Callable[[Settings], Iterator[Violation]]


def lease_outlasts_a_cycle(settings: Settings) -> Iterator[Violation]:
    """`poll.interval` + 2 x `vercel.request_timeout` is at most `poll.lease_ttl`: else a slow cycle loses the lease."""
    needed = settings.poll.interval + 2 * settings.vercel.request_timeout
    if needed > settings.poll.lease_ttl:
        yield Violation(
            (("poll", "lease_ttl"), ("poll", "interval"), ("vercel", "request_timeout")),
            f"lease_ttl {_text(settings.poll.lease_ttl)} is shorter than interval + 2 x request_timeout, "
            f"{_text(needed)}; write lease_ttl {_text(needed)} or more, or shorten the others",
        )


def decision_outlives_its_action(settings: Settings) -> Iterator[Violation]:
    """`action_deadline` is shorter than `decision_ttl`: else a decision is too old before its outcome is known."""
    for base, project in _projects(settings):
        if project.action_deadline >= project.decision_ttl:
            yield Violation(
                ((*base, "decision_ttl"), (*base, "action_deadline")),
                f"decision_ttl {_text(project.decision_ttl)} is not longer than action_deadline "
                f"{_text(project.action_deadline)}; write a decision_ttl above it, or shorten action_deadline",
            )


def action_outlives_its_request(settings: Settings) -> Iterator[Violation]:
    """`vercel.request_timeout` is shorter than `action_deadline`: else a request may be at work after it."""
    for base, project in _projects(settings):
        if settings.vercel.request_timeout >= project.action_deadline:
            yield Violation(
                ((*base, "action_deadline"), ("vercel", "request_timeout")),
                f"action_deadline {_text(project.action_deadline)} is not longer than request_timeout "
                f"{_text(settings.vercel.request_timeout)}; write an action_deadline above it, or shorten "
                "request_timeout",
            )


def fresh_counts_can_exist(settings: Settings) -> Iterator[Violation]:
    """`freshness.age_max` is longer than lag + `poll.interval` + window: else even the newest counts are too old."""
    for base, project in _projects(settings):
        guardrails = dict(enumerate(project.guardrails))
        ages = {index: one.age_max for index, one in guardrails.items() if isinstance(one, Freshness)}
        index, age_max = next(iter(ages.items()), (None, Freshness().age_max))
        slow, source = max(enumerate(project.sources), key=lambda entry: entry[1].lag)
        wide, detector = max(enumerate(project.detectors), key=lambda entry: entry[1].window)
        needed = source.lag + settings.poll.interval + detector.window
        if age_max <= needed:
            yield Violation(
                (
                    *(((*base, "guardrails", index, "age_max"),) if index is not None else ()),
                    (*base, "detectors", wide, "window"),
                    (*base, "sources", slow, "lag"),
                    ("poll", "interval"),
                ),
                f"freshness age_max {_text(age_max)} is not longer than lag {_text(source.lag)} + interval "
                f"{_text(settings.poll.interval)} + window {_text(detector.window)}, so that no counts are ever fresh; "
                f"write a freshness guardrail with age_max above {_text(needed)}, or shorten the others",
            )


def one_of_each_kind(settings: Settings) -> Iterator[Violation]:
    """`sources`, `detectors` and `guardrails` hold at most one of each kind: two would share one memory or name."""
    for base, project in _projects(settings):
        for key in KINDED:
            kinds: list[str] = [one.kind for one in getattr(project, key)]
            for index, kind in enumerate(kinds):
                if kind in kinds[:index]:
                    yield Violation(
                        ((*base, key, index, "kind"), (*base, key, kinds.index(kind))),
                        f"{kind} is given twice, also in {key}[{kinds.index(kind)}]; keep one",
                    )


def projects_are_named(settings: Settings) -> Iterator[Violation]:
    """Every project has an `id` or a `name`."""
    for base, project in _projects(settings):
        if project.id is None and project.name is None:
            yield Violation(
                ((*base, "id"), (*base, "name")), "is missing; write the project's id, prj_..., or its name"
            )


def projects_are_distinct(settings: Settings) -> Iterator[Violation]:
    """No two projects have the same `id`, or the same `name`: each has one policy."""
    for key in ("id", "name"):
        first: dict[str, int] = {}
        for index, project in enumerate(settings.projects):
            value: str | None = getattr(project, key)
            if value is None:
                continue
            if value in first:
                yield Violation(
                    (("projects", index, key), ("projects", first[value], key)),
                    f"is the {key} of projects[{first[value]}] too; keep one of them",
                )
            first.setdefault(value, index)


def one_way_to_each_token(settings: Settings) -> Iterator[Violation]:
    """Each token is given once, as a file or as a variable."""
    for use in ("read", "act"):
        secret, path = getattr(settings.vercel, f"{use}_token"), getattr(settings.vercel, f"{use}_token_file")
        if secret is not None and path is not None:
            yield Violation(
                (("vercel", f"{use}_token_file"), ("vercel", f"{use}_token")),
                f"is given beside the variable {_variable(use)}; keep one of the two",
            )


LAWS: tuple[Check, ...] = (
    lease_outlasts_a_cycle,
    decision_outlives_its_action,
    action_outlives_its_request,
    fresh_counts_can_exist,
    one_of_each_kind,
    projects_are_named,
    projects_are_distinct,
    one_way_to_each_token,
)
"""Refused when broken. The docs show the first line of each, the detectors' own law beside them."""


def a_token_is_given(settings: Settings) -> Iterator[Violation]:
    """There is at least one token."""
    vercel = settings.vercel
    if not any((vercel.read_token, vercel.read_token_file, vercel.act_token, vercel.act_token_file)):
        yield Violation(
            (("vercel", "read_token_file"), ("vercel", "read_token")),
            f"no token is given; name the file that holds it, or set the variable {_variable('read')}",
        )


def cooldown_outlasts_verification(settings: Settings) -> Iterator[Violation]:
    """A `cooldown` shorter than `verification_deadline` lets a second rollback follow before the first is judged."""
    for base, project in _projects(settings):
        for index, one in enumerate(project.guardrails):
            if isinstance(one, Cooldown) and one.period < project.verification_deadline:
                yield Violation(
                    ((*base, "guardrails", index, "period"), (*base, "verification_deadline")),
                    f"cooldown {_text(one.period)} ends before verification_deadline "
                    f"{_text(project.verification_deadline)}: a second rollback may follow before the first is judged",
                )


def sampled_windows_complete(settings: Settings) -> Iterator[Violation]:
    """With `request_logs`, a `poll.interval` over half a window leaves a busy site's windows incomplete: no verdict."""
    for base, project in _projects(settings):
        if not any(isinstance(one, RequestLogsSettings) for one in project.sources):
            continue
        index, detector = min(enumerate(project.detectors), key=lambda entry: entry[1].window)
        if 2 * settings.poll.interval > detector.window:
            yield Violation(
                (("poll", "interval"), (*base, "detectors", index, "window")),
                f"interval {_text(settings.poll.interval)} is longer than half a window of {_text(detector.window)}: "
                "on a busy site request_logs, a sample of the newest requests, may never fill one, so that nothing is "
                "detected",
            )


def web_stays_on_this_machine(settings: Settings) -> Iterator[Violation]:
    """A `web.host` beyond loopback shows metrics and health to everybody who can reach it."""
    if not is_loopback(settings.web.host):
        yield Violation(
            (("web", "host"),),
            "other machines can reach the metrics, which ask for no password; let a firewall or a pod's network guard "
            "the port",
        )


def tokens_travel_encrypted(settings: Settings) -> Iterator[Violation]:
    """An `http://` API beyond loopback reads the tokens' way in clear text."""
    url = urlsplit(settings.vercel.api_url)
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield Violation(
            (("vercel", "api_url"),), "sends the tokens in clear text over http; use it with an emulator only"
        )


def token_files_are_private(settings: Settings) -> Iterator[Violation]:
    """A token file that every user of the machine may read is no secret."""
    for use in ("read", "act"):
        path = getattr(settings.vercel, f"{use}_token_file")
        try:
            is_open = path is not None and TokenFile(path).is_open_to_others()
        except OSError:
            # Whether there is a token to read is another question; here nobody else can read it.
            continue
        if is_open:
            yield Violation(
                (("vercel", f"{use}_token_file"),),
                "every user of this machine may read the token; take that right away with chmod o-r",
            )


LINTS: tuple[Check, ...] = (
    cooldown_outlasts_verification,
    sampled_windows_complete,
    web_stays_on_this_machine,
    tokens_travel_encrypted,
    token_files_are_private,
)
"""Allowed, with a warning."""


def _projects(settings: Settings) -> Iterator[tuple[Location, ProjectSettings]]:
    for index, project in enumerate(settings.projects):
        yield ("projects", index), project


def _variable(use: str) -> str:
    return f"LASTGOOD_VERCEL__{use.upper()}_TOKEN"


def _text(duration: timedelta) -> str:
    return format_duration(duration)
