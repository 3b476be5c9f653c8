"""Log drains: the traffic of the projects as signed batches of entries, filtered and sampled.

Invariant: an entry is put into at most one batch of a drain, and batches of a drain go out in order of time.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from daemon.emulator.delivery import SIGNATURE_HEADER, Outbox, Parcel, backoff_ms, signature
from daemon.emulator.drain_entries import entries_of
from daemon.emulator.drain_specs import BasicFilter, DrainSpec, FilterV2, HttpDelivery, SamplingRule
from daemon.emulator.durations import HOUR_MS, MINUTE_MS
from daemon.emulator.entitlements import require_paid
from daemon.emulator.errors import not_found
from daemon.emulator.identifiers import base62
from daemon.emulator.knobs import Knobs
from daemon.emulator.model import Project, Team
from daemon.emulator.odata import parse_filter
from daemon.emulator.wire import Json
from daemon.emulator.world import World

ERRORED_AFTER = 3
"""Failed deliveries in a row after which a drain's status is ``errored``; Vercel publishes no number."""
FIRST_RETRY_MS = 1_000
LONGEST_RETRY_MS = MINUTE_MS
GIVEN_UP_AFTER_MS = HOUR_MS
VERIFY_HEADER = "x-vercel-verify"
_FILTERABLE = frozenset({"source", "level", "environment", "statusCode", "host", "path", "branch", "projectId"})


@dataclass(slots=True)
class Drain:
    """One drain and its health. ``collected_to_ms`` says per project up to which instant entries were taken."""

    id: str
    team_id: str
    spec: DrainSpec
    secret: str
    created_at_ms: int
    updated_at_ms: int
    since_ms: int
    """From when on it gets entries: its creation, or when it was switched on again."""
    knobs: Callable[[], Knobs]
    status: str = "enabled"
    disabled_reason: str | None = None
    failures_in_row: int = 0
    first_error_ms: int | None = None
    batches: int = 0
    collected_to_ms: dict[str, int] = field(default_factory=dict)

    def next_attempt_ms(self, attempts: int, *, age_ms: int) -> int | None:
        """Return the wait before the next attempt; None gives the batch up (a knob says whether at once)."""
        if self.knobs().drain_retries == "none" or age_ms >= GIVEN_UP_AFTER_MS:
            return None
        return backoff_ms(attempts, first_ms=FIRST_RETRY_MS, most_ms=LONGEST_RETRY_MS)

    def hear(self, *, delivered: bool, at_ms: int) -> None:
        """Become ``errored`` after some failures in a row, and ``enabled`` again with the first success."""
        if delivered:
            self.failures_in_row, self.first_error_ms = 0, None
            self.status = "enabled" if self.status == "errored" else self.status
            return
        self.failures_in_row += 1
        self.first_error_ms = at_ms if self.first_error_ms is None else self.first_error_ms
        if self.failures_in_row >= ERRORED_AFTER and self.status == "enabled":
            self.status = "errored"

    @property
    def collects(self) -> bool:
        """Tell whether new entries are taken; whether an errored drain takes any is a knob."""
        is_on = self.status == "enabled" or (self.status == "errored" and self.knobs().errored_drain == "keeps-trying")
        return is_on and "log" in self.spec.schemas


class Drains:
    """Every drain of a world."""

    def __init__(self, world: World, outbox: Outbox) -> None:
        """Begin with no drain."""
        self._world = world
        self._outbox = outbox
        self._drains: dict[str, Drain] = {}
        self._created = 0

    @property
    def is_any(self) -> bool:
        """Tell whether there is a drain."""
        return bool(self._drains)

    def create(self, team: Team, spec: DrainSpec) -> Drain:
        """Make a drain that gets what happens from now on; on the hobby plan it is a 402."""
        require_paid(team, "Drains")
        self._created += 1
        drain = Drain(
            id="drn_" + base62("drain", team.id, self._created, length=24),
            team_id=team.id,
            spec=spec,
            secret=spec.delivery.secret or base62("drain-secret", team.id, self._created, length=32),
            created_at_ms=self._world.now_ms,
            updated_at_ms=self._world.now_ms,
            since_ms=self._world.now_ms,
            knobs=lambda: self._world.knobs,
        )
        self._drains[drain.id] = drain
        return drain

    def of(self, team: Team) -> list[Drain]:
        """Return the drains of *team*, oldest first."""
        return [drain for drain in self._drains.values() if drain.team_id == team.id]

    def one(self, team: Team, drain_id: str) -> Drain:
        """Return one drain of *team*; an unknown one is a 404."""
        drain = self._drains.get(drain_id)
        if drain is None or drain.team_id != team.id:
            raise not_found("Drain not found.")
        return drain

    def update(self, drain: Drain, spec: DrainSpec, *, status: str | None) -> None:
        """Change a drain. *status* None leaves it as it is; switched on again it gets what happens from now on."""
        drain.spec, drain.updated_at_ms = spec, self._world.now_ms
        drain.secret = spec.delivery.secret or drain.secret
        if status is None:
            return
        if status == "enabled" and drain.status != "enabled":
            drain.collected_to_ms, drain.since_ms, drain.failures_in_row = {}, self._world.now_ms, 0
        drain.status = status
        drain.disabled_reason = "disabled-by-owner" if status == "disabled" else None

    def delete(self, drain: Drain) -> None:
        """Delete a drain; what waits for it in the outbox still goes out."""
        del self._drains[drain.id]

    def collect(self) -> None:
        """Put the entries of everything that was requested since the last time into the outbox, in batches."""
        for drain in self._drains.values():
            if drain.collects:
                self._collect(drain)

    def _collect(self, drain: Drain) -> None:
        entries: list[Json] = []
        for project in self._covered(drain):
            entries.extend(self._new_entries(drain, project))
        entries.sort(key=lambda entry: (entry["timestamp"], entry["id"]))
        size = self._world.knobs.drain_batch_entries
        for first in range(0, len(entries), size):
            drain.batches += 1
            headers, body = packed(drain.spec.delivery, drain.secret, entries[first : first + size])
            parcel_id = f"{drain.id}-{drain.batches}"
            now_ms = self._world.now_ms
            self._outbox.put(Parcel(parcel_id, drain, drain.spec.delivery.endpoint, headers, body, now_ms, now_ms))

    def _covered(self, drain: Drain) -> list[Project]:
        if drain.spec.project_ids is not None:
            found = (self._world.projects.get(project_id) for project_id in drain.spec.project_ids)
            return [project for project in found if project is not None and project.team_id == drain.team_id]
        return [project for project in self._world.projects.values() if project.team_id == drain.team_id]

    def _new_entries(self, drain: Drain, project: Project) -> Iterable[Json]:
        traffic = self._world.traffic_of(project)
        from_ms = drain.collected_to_ms.get(project.id, drain.since_ms)
        until_ms = traffic.generated_to_ms
        drain.collected_to_ms[project.id] = max(from_ms, until_ms)
        wanted = wanted_by(drain.spec.filter)
        for row in traffic.counts.newest_rows(from_ms=from_ms, until_ms=until_ms):
            if not is_sampled(drain, row.key.environment, row.path, f"{row.number}-{row.at_ms}"):
                continue
            deployment = self._world.deployments[row.key.deployment_id]
            yield from (entry for entry in entries_of(project, deployment, row) if wanted(entry))


def verification_code(team: Team) -> str:
    """Return what an endpoint must send back in ``x-vercel-verify``. Source: Vercel Terraform provider."""
    return base62("verify-endpoint", team.id, length=40).lower()


def is_sampled(drain: Drain, environment: str, path: str, request: str) -> bool:
    """Tell whether a request is kept: the first rule that matches decides, and without a match it is dropped.

    Source: Vercel docs, Drains, "Sampling rules". Without rules everything is kept; a request's entries stay together.
    """
    if not drain.spec.sampling:
        return True
    rule = next((item for item in drain.spec.sampling if _matches(item, environment, path)), None)
    if rule is None:
        return False
    digest = hashlib.sha256(f"{drain.id}:{request}".encode()).digest()
    return int.from_bytes(digest[:6], "big") < rule.rate * 2**48


def _matches(rule: SamplingRule, environment: str, path: str) -> bool:
    return rule.env in (None, environment) and (rule.request_path is None or path.startswith(rule.request_path))


def wanted_by(spec: FilterV2 | None) -> Callable[[Json], bool]:
    """Return the test that *spec* puts an entry to; None lets every entry through, and bad OData is a 400."""
    if spec is None:
        return lambda _entry: True
    if isinstance(spec.filter, BasicFilter):
        basic = spec.filter
        return lambda entry: (
            entry["source"] in (basic.log.sources or (entry["source"],))
            and entry["environment"] in (basic.deployment.environments or (entry["environment"],))
            and entry["projectId"] in (basic.project.ids or (entry["projectId"],))
        )
    holds = parse_filter(spec.filter.text, _FILTERABLE)
    return lambda entry: holds({name: str(entry.get(name, "")) for name in _FILTERABLE})


def packed(delivery: HttpDelivery, secret: str, entries: list[Json]) -> tuple[Mapping[str, str], bytes]:
    """Return the headers and the body of a batch; the signature is over the body as it is sent."""
    if delivery.encoding == "json":
        body, content_type = json.dumps(entries).encode(), "application/json"
    else:
        body = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
        content_type = "application/x-ndjson"
    headers = {**delivery.headers, "content-type": content_type}
    if delivery.compression == "gzip":
        body, headers["content-encoding"] = gzip.compress(body, mtime=0), "gzip"
    return {**headers, SIGNATURE_HEADER: signature(secret, body)}, body
