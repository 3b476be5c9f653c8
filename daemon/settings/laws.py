"""What must hold between keys, refused with both numbers and never adjusted; and what is allowed but unwise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from daemon.core.guardrail import Posture
from daemon.detectors import DetectorSettings
from daemon.detectors.evidence.detector import Evidence
from daemon.detectors.threshold import Threshold
from daemon.guardrails.cooldown import Cooldown
from daemon.guardrails.freshness import Freshness
from daemon.settings.duration import format_duration
from daemon.settings.model import ProjectSettings, Settings
from daemon.settings.problem import Location, nearest, shown, shown_key
from daemon.settings.tokens import TokenFile
from daemon.sources import SourceSettings
from daemon.sources.log_drain import LogDrainSettings
from daemon.sources.observability import ObservabilitySettings
from daemon.sources.probe import ProbeSettings
from daemon.sources.prometheus import PrometheusSettings
from daemon.sources.request_logs import Counts, RequestLogsSettings
from daemon.vercel.fields import is_loopback

_NAMES_SHOWN_MAX = 20
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
    for base, project in each_project(settings):
        if project.action_deadline >= project.decision_ttl:
            yield Violation(
                ((*base, "decision_ttl"), (*base, "action_deadline")),
                f"decision_ttl {_text(project.decision_ttl)} is not longer than action_deadline "
                f"{_text(project.action_deadline)}; write a decision_ttl above it, or shorten action_deadline",
            )


def action_outlives_its_request(settings: Settings) -> Iterator[Violation]:
    """`vercel.request_timeout` is shorter than `action_deadline`: else a request may be at work after it."""
    for base, project in each_project(settings):
        if settings.vercel.request_timeout >= project.action_deadline:
            yield Violation(
                ((*base, "action_deadline"), ("vercel", "request_timeout")),
                f"action_deadline {_text(project.action_deadline)} is not longer than request_timeout "
                f"{_text(settings.vercel.request_timeout)}; write an action_deadline above it, or shorten "
                "request_timeout",
            )


def fresh_counts_can_exist(settings: Settings) -> Iterator[Violation]:
    """`freshness.age_max` is longer than lag + `poll.interval` + window: else even the newest counts are too old."""
    for base, project in each_project(settings):
        guardrails = dict(enumerate(project.guardrails))
        ages = {index: one.age_max for index, one in guardrails.items() if isinstance(one, Freshness)}
        index, age_max = next(iter(ages.items()), (None, Freshness().age_max))
        slow, source = max(enumerate(project.sources), key=lambda entry: delay_of(entry[1]))
        wide, window = max(enumerate(map(_window, project.detectors)), key=lambda entry: entry[1])
        needed = delay_of(source) + settings.poll.interval + window
        if age_max <= needed:
            yield Violation(
                (
                    *(((*base, "guardrails", index, "age_max"),) if index is not None else ()),
                    (*base, "detectors", wide, "window"),
                    (*base, "sources", slow, "lag"),
                    ("poll", "interval"),
                ),
                f"freshness age_max {_text(age_max)} is not longer than lag {_text(delay_of(source))} + interval "
                f"{_text(settings.poll.interval)} + window {_text(window)}, so that no counts are ever fresh; "
                f"write a freshness guardrail with age_max above {_text(needed)}, or shorten the others",
            )


def sampled_windows_fill(settings: Settings) -> Iterator[Violation]:
    """With `request_logs`, `poll.interval` is at most half a window: else a busy site has none after one late poll."""
    for base, project in each_project(settings):
        windows = [(index, one.window) for index, one in enumerate(project.detectors) if isinstance(one, Threshold)]
        if not windows or not any(isinstance(one, RequestLogsSettings) for one in project.sources):
            continue
        index, window = min(windows, key=lambda entry: entry[1])
        if 2 * settings.poll.interval > window:
            yield Violation(
                (("poll", "interval"), (*base, "detectors", index, "window")),
                f"interval {_text(settings.poll.interval)} is longer than half a window of {_text(window)}: "
                "of a busy site request_logs reads the newest requests alone, and one late poll would make a window "
                f"forget what it holds; write interval {_text(window / 2)} or less, or a window of "
                f"{_text(2 * settings.poll.interval)} or more",
            )


def ratios_have_all_requests(settings: Settings) -> Iterator[Violation]:
    """A rule on the share of requests that fail reads no source with `counts: errors`: errors alone have none."""
    for base, project in each_project(settings):
        for number, source in enumerate(project.sources):
            for index, detector in enumerate(project.detectors):
                if _counts_errors_alone(source) and detector.needs_requests:
                    key, judges, there = "kind", "judges by nothing else", "a threshold with errors_per_minute_max"
                    if isinstance(detector, Threshold):
                        key, judges, there = "max_error_rate", "judges by max_error_rate", "errors_per_minute_max"
                    yield Violation(
                        ((*base, "sources", number, "counts"), (*base, "detectors", index, key)),
                        f"{source.kind} counts errors alone, which have no ratio, and {detector.kind} {judges}; "
                        f"write counts: ratio here, or {there} there",
                    )


def sources_can_leave_out_what_is_excluded(settings: Settings) -> Iterator[Violation]:
    """What `exclude_routes` and `exclude_statuses` name, every source but `probe` can tell apart from the rest."""
    for base, project in each_project(settings):
        for number, source in enumerate(project.sources):
            for key, objection in _not_left_out(source, project):
                yield Violation(((*base, key), (*base, "sources", number, "kind")), f"{source.kind} {objection}")


def _not_left_out(source: SourceSettings, project: ProjectSettings) -> Iterator[tuple[str, str]]:
    """Yield each key that *source* cannot honour, and why, with what to do."""
    match source:
        case PrometheusSettings():
            for key in ("exclude_routes", "exclude_statuses"):
                if getattr(project, key):
                    yield key, "counts what its expressions say; write it into the expressions, and remove it here"
        case LogDrainSettings() if project.exclude_statuses:
            yield "exclude_statuses", "knows of a status that it is a 5xx, and no more; remove it, or the source"
        case ObservabilitySettings() if any("*" in route for route in project.exclude_routes):
            yield "exclude_routes", "leaves out routes by their whole names; write each without *, or remove the source"


def routes_come_from_a_source(settings: Settings) -> Iterator[Violation]:
    """A detector with `per_route` has a source that knows routes: `log_drain` or `request_logs`."""
    for base, project in each_project(settings):
        knows = any(isinstance(one, LogDrainSettings | RequestLogsSettings) for one in project.sources)
        for index, detector in enumerate(project.detectors):
            if detector.wants_routes and not knows:
                yield Violation(
                    ((*base, "detectors", index, "per_route"), (*base, "sources")),
                    f"{detector.kind} judges routes, which no source here tells apart; add log_drain or request_logs",
                )


def kinds_come_from_a_source(settings: Settings) -> Iterator[Violation]:
    """A detector of kinds of errors has a source that tells what errors say: `request_logs`."""
    for base, project in each_project(settings):
        knows = any(isinstance(one, RequestLogsSettings) for one in project.sources)
        for index, detector in enumerate(project.detectors):
            if detector.wants_kinds and not knows:
                yield Violation(
                    ((*base, "detectors", index, "kind"), (*base, "sources")),
                    f"{detector.kind} judges what errors say, which no source here tells; add request_logs",
                )


def evidence_outlasts_attribution(settings: Settings) -> Iterator[Violation]:
    """`evidence` judges at least as long as the policy attributes: else its alerts might be acted upon in between."""
    for base, project in each_project(settings):
        for index, detector in enumerate(project.detectors):
            own = detector.attribution_window if isinstance(detector, Evidence) else None
            if own is not None and own < project.attribution_window:
                yield Violation(
                    ((*base, "detectors", index, "attribution_window"), (*base, "attribution_window")),
                    f"the attribution_window {_text(own)} of evidence is shorter than the "
                    f"policy's {_text(project.attribution_window)}: what it only tells would be acted upon in between; "
                    "write the same for both, or leave it out here",
                )


def somebody_decides(settings: Settings) -> Iterator[Violation]:
    """A project with posture `automatic` has a detector that may decide, beside those on dry run or that advise."""
    for base, project in each_project(settings):
        silent = [one for one in project.detectors if one.dry_run or one.is_advisory]
        if project.posture is Posture.AUTOMATIC and len(silent) == len(project.detectors):
            yield Violation(
                ((*base, "detectors"), (*base, "posture")),
                "every detector is on dry run or only advises, so that posture automatic would never act; add one that "
                "decides, or write posture: observe",
            )


def witnesses_do_not_act_alone(settings: Settings) -> Iterator[Violation]:
    """A project with posture `automatic` has a source beside `probe`, unless that one `may_act`."""
    for base, project in each_project(settings):
        witnesses = [one for one in project.sources if isinstance(one, ProbeSettings) and not one.may_act]
        if project.posture is Posture.AUTOMATIC and len(witnesses) == len(project.sources):
            yield Violation(
                ((*base, "sources", 0, "may_act"), (*base, "sources"), (*base, "posture")),
                "probe is a witness, and nothing else counts, so that posture automatic would never act; add a source, "
                "or write may_act: true",
            )


def sites_belong_to_one_project(settings: Settings) -> Iterator[Violation]:
    """What is about one project, a `probe` or a `prometheus` with `project_value`, stands in one, not in a `match`."""
    seen: list[SourceSettings] = []
    for base, project in each_project(settings):
        for number, source in enumerate(project.sources):
            is_its_own = isinstance(source, ProbeSettings) or (
                isinstance(source, PrometheusSettings) and source.project_value is not None
            )
            if is_its_own and project.match is not None:
                yield Violation(
                    ((*base, "sources", number), (*base, "sources"), (*base, "match")),
                    f"this {source.kind} is about one project and match about many; give that project its own entry",
                )
            elif is_its_own and source in seen:
                yield Violation(
                    ((*base, "sources", number), (*base, "sources")),
                    f"the same {source.kind} counts for another project too; write it in the one that it is about",
                )
            seen += [source] if is_its_own else []


def one_of_each_kind(settings: Settings) -> Iterator[Violation]:
    """`sources`, `detectors` and `guardrails` hold at most one of each kind: two would share one memory or name."""
    for base, project in each_project(settings):
        for key in KINDED:
            kinds: list[str] = [one.kind for one in getattr(project, key)]
            for index, kind in enumerate(kinds):
                if kind in kinds[:index]:
                    yield Violation(
                        ((*base, key, index, "kind"), (*base, key, kinds.index(kind))),
                        f"{kind} is given twice, also in {key}[{kinds.index(kind)}]; keep one",
                    )


def projects_are_named(settings: Settings) -> Iterator[Violation]:
    """Every entry of `projects` has an `id` or a `name`, or a `match` alone, which may have an `exclude` beside it."""
    for base, project in each_project(settings):
        if project.id is None and project.name is None and project.match is None:
            yield Violation(
                ((*base, "id"), (*base, "name"), (*base, "match")),
                "is missing; write the project's id, prj_..., or its name, or a match for many",
            )
        for key in ("id", "name"):
            if project.match is not None and getattr(project, key) is not None:
                yield Violation(
                    ((*base, "match"), (*base, key)), f"is given beside {key}; one project or many, keep one of the two"
                )
        if project.exclude and project.match is None:
            yield Violation(
                ((*base, "exclude"), (*base, "match")), "leaves nothing out without a match; write one, or remove it"
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


def profiles_exist(settings: Settings) -> Iterator[Violation]:
    """Every `profile` that a project names is one of `profiles`."""
    for base, project in each_project(settings):
        if project.profile is not None and project.profile not in settings.profiles:
            meant = nearest(project.profile, settings.profiles)
            # The names are the writer's own, and may be a token in the wrong place.
            known = ", ".join([shown_key(one) for one in settings.profiles][:_NAMES_SHOWN_MAX])
            hint = f"did you mean {shown_key(meant)}?" if meant else f"write one of: {known or '(there are none)'}"
            yield Violation(
                # The second input: one that is there and refused is no unknown one.
                ((*base, "profile"), ("profiles", project.profile)),
                f"{shown(project.profile)} is not a profile that exists; {hint}",
            )


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
    sampled_windows_fill,
    ratios_have_all_requests,
    sources_can_leave_out_what_is_excluded,
    routes_come_from_a_source,
    kinds_come_from_a_source,
    somebody_decides,
    evidence_outlasts_attribution,
    witnesses_do_not_act_alone,
    sites_belong_to_one_project,
    one_of_each_kind,
    projects_are_named,
    projects_are_distinct,
    profiles_exist,
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


def profiles_are_used(settings: Settings) -> Iterator[Violation]:
    """A profile that no project names changes nothing."""
    used = {project.profile for project in settings.projects}
    for name in settings.profiles:
        if name not in used:
            yield Violation((("profiles", name),), "no project names this profile, so that it changes nothing")


def patterns_do_not_act(settings: Settings) -> Iterator[Violation]:
    """A `match` with posture `automatic` lets the daemon act on projects that nobody has made yet."""
    for base, project in each_project(settings):
        if project.match is not None and project.posture is Posture.AUTOMATIC:
            yield Violation(
                ((*base, "posture"), (*base, "match")),
                "automatic rolls back whatever project the pattern matches, those of tomorrow too; name the projects "
                "that may be rolled back, or let the pattern approve",
            )


def patterns_are_reached(settings: Settings) -> Iterator[Violation]:
    """A `match` behind one that takes all of its projects covers nothing."""
    before: list[str] = []
    for base, project in each_project(settings):
        if project.match is not None:
            if project.match in before or "*" in before:
                yield Violation(((*base, "match"),), "covers nothing: an entry above takes all that it matches")
            before += [] if project.exclude else [project.match]


def cooldown_outlasts_verification(settings: Settings) -> Iterator[Violation]:
    """A `cooldown` shorter than `verification_deadline` lets a second rollback follow before the first is judged."""
    for base, project in each_project(settings):
        for index, one in enumerate(project.guardrails):
            if isinstance(one, Cooldown) and one.period < project.verification_deadline:
                yield Violation(
                    ((*base, "guardrails", index, "period"), (*base, "verification_deadline")),
                    f"cooldown {_text(one.period)} ends before verification_deadline "
                    f"{_text(project.verification_deadline)}: a second rollback may follow before the first is judged",
                )


def counted_errors_are_not_set_against_requests(settings: Settings) -> Iterator[Violation]:
    """A rule on `errors_per_minute_max` over a source of all requests cannot tell a busy hour from a bad one."""
    for base, project in each_project(settings):
        informed = [one.kind for one in project.sources if not _counts_errors_alone(one)]
        for index, detector in enumerate(project.detectors):
            if informed and not detector.needs_requests:
                yield Violation(
                    ((*base, "detectors", index, "errors_per_minute_max"),),
                    f"{' and '.join(informed)} would give all requests beside the errors, and max_error_rate tells a "
                    "bad hour from a busy one; a sample of request_logs misses most errors, unless counts is errors",
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
    profiles_are_used,
    patterns_do_not_act,
    patterns_are_reached,
    cooldown_outlasts_verification,
    counted_errors_are_not_set_against_requests,
    web_stays_on_this_machine,
    tokens_travel_encrypted,
    token_files_are_private,
)
"""Allowed, with a warning."""


def each_project(settings: Settings) -> Iterator[tuple[Location, ProjectSettings]]:
    """Yield the location of each entry of `projects`, and the entry."""
    for index, project in enumerate(settings.projects):
        yield ("projects", index), project


def delay_of(source: SourceSettings) -> timedelta:
    """Return how old the newest counts of *source* are at the best."""
    return source.lag + (source.step if isinstance(source, PrometheusSettings) else timedelta(0))


def _window(detector: DetectorSettings) -> timedelta:
    """Return how long *detector* waits for counts before it judges them; those without windows of a length do not."""
    return detector.window if isinstance(detector, Threshold | Evidence) else timedelta(0)


def _counts_errors_alone(source: SourceSettings) -> bool:
    return isinstance(source, RequestLogsSettings) and source.counts is Counts.ERRORS


def _variable(use: str) -> str:
    return f"LASTGOOD_VERCEL__{use.upper()}_TOKEN"


def _text(duration: timedelta) -> str:
    return format_duration(duration)
