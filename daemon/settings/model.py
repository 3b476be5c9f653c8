"""The settings: every key with a safe default, bounds and one sentence, from which docs/configuration.md is made."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from daemon.core.guardrail import Posture
from daemon.core.policy import Combination, Policy
from daemon.detectors import DetectorSettings
from daemon.detectors.evidence.detector import Evidence
from daemon.guardrails import GuardrailSettings, complete
from daemon.settings.drain import DrainReceiverSettings
from daemon.settings.tokens import FixedToken, Token, TokenFile
from daemon.sources import SourceSettings
from daemon.sources.exclusions import Exclusions, RoutePattern, ServerError
from daemon.sources.request_logs import RequestLogsSettings
from daemon.sources.status_page import StatusPageSettings
from daemon.vercel.fields import AbsolutePath, ListeningHost, is_loopback
from daemon.vercel.webhook_settings import WebhookReceiverSettings

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PROJECTS_MAX = 10_000
GAP_INTERVALS = 4
"""A pause between two polls of more intervals than this is told."""
PROFILES_MAX = 1_000
DIGEST_CHARACTERS = 12
NAME_PATTERN = r"^[A-Za-z0-9._-]{1,100}$"
"""What Vercel allows in a project's name, and we in a profile's."""


Glob = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._*?-]{1,100}$")]


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """For machines or for people."""

    JSON = "json"
    CONSOLE = "console"


def _safe_origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("is not the origin of a server; write one such as https://api.vercel.com") from None
    # A name without a dot is a container's or this machine's own network: the emulator in a compose file.
    if parts.scheme == "http" and not is_loopback(host) and ("." in host or ":" in host):
        raise ValueError("would send the tokens in clear text over http; write https://")
    return url


Origin = Annotated[
    str, StringConstraints(pattern=r"^https?://[^/?#@\s]+$", max_length=300), AfterValidator(_safe_origin)
]


class Section(BaseModel):
    """What all sections share: frozen, no unknown keys, and no value in an error's text."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class VercelSettings(Section):
    """How to reach Vercel, and with which tokens. One token is enough; a second one to act is safer.

    A token is read from its file again at each use, so that a rotated one needs no restart. It is never written in the
    configuration file.
    """

    api_url: Origin = Field(
        default="https://api.vercel.com", description="Origin of Vercel's API, such as https://api.vercel.com."
    )
    team: Annotated[str, StringConstraints(pattern=r"^team_[A-Za-z0-9]{1,60}$")] | None = Field(
        default=None,
        description="Id of the team that owns the projects, team_...; leave it out for a personal account.",
    )
    read_token: SecretStr | None = Field(
        default=None, description="Token to read with, as a variable only; `read_token_file` is safer."
    )
    read_token_file: AbsolutePath | None = Field(
        default=None, description="File that holds the token to read with, readable by the daemon's user alone."
    )
    act_token: SecretStr | None = Field(
        default=None, description="Token to roll back with, as a variable only; by default the one to read with."
    )
    act_token_file: AbsolutePath | None = Field(
        default=None, description="File that holds the token to roll back with; by default the one to read with."
    )
    requests_per_minute_max: int = Field(
        default=300,
        ge=10,
        le=100_000,
        description="Requests to Vercel with these tokens that may begin in a minute; a rollback never waits for it.",
    )
    request_timeout: timedelta = Field(
        default=10 * SECOND,
        ge=SECOND,
        le=MINUTE,
        description="Time after which one request is given up, everything included.",
    )

    @property
    def token_to_read(self) -> Token:
        """The token to read with: the one to act with, when no other is given."""
        return _token(self.read_token, self.read_token_file) or self._only_token(self.act_token, self.act_token_file)

    @property
    def token_to_act(self) -> Token:
        """The token to act with: the one to read with, when no other is given."""
        return _token(self.act_token, self.act_token_file) or self._only_token(self.read_token, self.read_token_file)

    def _only_token(self, secret: SecretStr | None, path: Path | None) -> Token:
        token = _token(secret, path)
        assert token is not None, "a configuration without any token is refused before it is used"
        return token


def _token(secret: SecretStr | None, path: Path | None) -> Token | None:
    if path is not None:
        return TokenFile(path)
    return FixedToken(secret) if secret is not None else None


class StoreSettings(Section):
    """Where the daemon remembers what it decided and did."""

    path: AbsolutePath = Field(
        default=Path("/var/lib/lastgood/lastgood.db"),
        description="SQLite file of the daemon's memory, on a local disk; its folder must exist.",
    )
    keep_journal: timedelta = Field(
        default=30 * DAY,
        ge=DAY,
        le=3650 * DAY,
        description="How long the record of past events is kept.",
    )


class WebSettings(Section):
    """Where metrics and health are served."""

    host: ListeningHost = Field(
        default="127.0.0.1",
        description="Address to listen on, such as 127.0.0.1; 0.0.0.0 for all, as in a container.",
    )
    port: int = Field(default=9464, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")


class LogSettings(Section):
    """What is written to standard error."""

    level: LogLevel = Field(default=LogLevel.INFO, description="The least important level that is written.")
    format: LogFormat = Field(default=LogFormat.JSON, description="json for machines, console for people.")


class PollSettings(Section):
    """How often Vercel is asked, and how long one daemon owns the work without renewing its lease."""

    interval: timedelta = Field(
        default=15 * SECOND, ge=SECOND, le=10 * MINUTE, description="Time between two readings of every project."
    )
    lease_ttl: timedelta = Field(
        default=60 * SECOND,
        ge=5 * SECOND,
        le=HOUR,
        description="Time after which another daemon takes over from one that no longer renews its lease.",
    )
    discover_every: timedelta = Field(
        default=5 * MINUTE,
        ge=30 * SECOND,
        le=HOUR,
        description="Time between two listings of the team's projects, where one is matched by a pattern.",
    )


class PolicySettings(Section):
    """When to act and how far to go. Every key can be set for all projects, again in a profile, and again for one.

    A list replaces the inherited one as a whole. The guardrails `cooldown` and `freshness` are always
    there, with their defaults unless listed.
    """

    posture: Posture = Field(
        default=Posture.OBSERVE,
        description="observe tells what it would do, approve asks a person first, automatic rolls back by itself.",
    )
    sources: tuple[SourceSettings, ...] = Field(
        default=(RequestLogsSettings(),),
        min_length=1,
        max_length=8,
        description="Where error rates come from, at most one of each kind.",
    )
    exclude_routes: tuple[RoutePattern, ...] = Field(
        default=(),
        max_length=32,
        description="Routes that no source counts, such as /api/health; * stands for any text, where a source can.",
    )
    exclude_statuses: tuple[ServerError, ...] = Field(
        default=(),
        max_length=20,
        description="Statuses, 500 to 599, that are no error, such as 501; their answers stay among the requests.",
    )
    detectors: tuple[DetectorSettings, ...] = Field(
        default=(Evidence(),),
        min_length=1,
        max_length=8,
        description="The judges of error rates, at most one of each kind.",
    )
    combine: Combination = Field(
        default=Combination.ANY,
        description="any acts when one detector finds a breach, all only when every one does; dry runs have no say.",
    )
    guardrails: tuple[GuardrailSettings, ...] = Field(
        default=(),
        max_length=16,
        description="Vetoes on acting beside those that always hold, at most one of each kind.",
    )
    attribution_window: timedelta = Field(
        default=15 * MINUTE,
        ge=MINUTE,
        le=DAY,
        description="Errors that begin later than this after an activation are not that deployment's fault.",
    )
    decision_ttl: timedelta = Field(
        default=3 * MINUTE,
        ge=2 * SECOND,
        le=HOUR,
        description="Age at which a decision is made again instead of carried out.",
    )
    action_deadline: timedelta = Field(
        default=60 * SECOND,
        ge=2 * SECOND,
        le=30 * MINUTE,
        description="How long a request whose outcome is unknown may still be at work at Vercel.",
    )
    alias_job_stale_after: timedelta = Field(
        default=3 * MINUTE,
        ge=10 * SECOND,
        le=HOUR,
        description="Time after which a move of the production domains that does not end counts as stuck.",
    )
    verification_deadline: timedelta = Field(
        default=10 * MINUTE,
        ge=10 * SECOND,
        le=DAY,
        description="Time after a rollback in which recovery must be seen, before a person is called.",
    )
    approval_ttl: timedelta = Field(
        default=30 * MINUTE,
        ge=MINUTE,
        le=DAY,
        description="Time in which a person can approve a rollback; afterwards it needs a new decision.",
    )
    stand_down_hold: timedelta = Field(
        default=30 * MINUTE,
        ge=MINUTE,
        le=7 * DAY,
        description="Time without actions after somebody else rolled back or moved production during an incident.",
    )
    lag_max: timedelta = Field(
        default=5 * MINUTE,
        ge=MINUTE,
        le=HOUR,
        description="Age from which on the newest complete counts say nothing of now: the project counts as blind.",
    )
    blind_after: timedelta = Field(
        default=10 * MINUTE,
        ge=MINUTE,
        le=DAY,
        description="How long nobody may see what visitors get before a person is called.",
    )
    observe_every: timedelta = Field(
        default=SECOND,
        ge=SECOND,
        le=30 * SECOND,
        description="Time between two readings of production while a rollback is under way.",
    )

    @property
    def exclusions(self) -> Exclusions:
        """What no source counts, whatever its kind."""
        return Exclusions(self.exclude_routes, self.exclude_statuses)

    def policy(self) -> Policy:
        """Return these settings as `step` reads them, named by a digest of all that they say."""
        guardrails = complete(self.guardrails)
        timings = {name: getattr(self, name) for name in _TIMINGS}
        said = self.model_dump(mode="json", include=set(PolicySettings.model_fields))
        said["guardrails"] = [one.model_dump(mode="json") for one in guardrails if isinstance(one, BaseModel)]
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]
        detectors = tuple(
            one.within(self.attribution_window) if isinstance(one, Evidence) else one for one in self.detectors
        )
        return Policy(self.posture, detectors, guardrails, combine=self.combine, **timings, digest=digest)


_TIMINGS = tuple(name for name, field in PolicySettings.model_fields.items() if field.annotation is timedelta)


class ProjectSettings(PolicySettings):
    """One project that is watched, by id or name, or all of the team whose names match a pattern.

    Every key of `defaults` may be set again here; what is not set comes from the profile, and what is not set there
    from `defaults`. An entry by id or name wins over patterns, and of patterns that match the first in the file.
    """

    id: Annotated[str, StringConstraints(pattern=r"^prj_[A-Za-z0-9]{1,60}$")] | None = Field(
        default=None, description="The project's id, prj_...; it is safer than a name, which may change."
    )
    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] | None = Field(
        default=None,
        description="The project's name at Vercel; with an id beside it, only what logs and metrics call it.",
    )
    profile: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] | None = Field(
        default=None, description="Name of the profile, one of `profiles`, whose keys this project inherits."
    )

    match: Glob | None = Field(
        default=None,
        description='Pattern of the names of the projects that this entry is about, in quotes: "shop-*"; "*" for all.',
    )
    exclude: tuple[Glob, ...] = Field(
        default=(), max_length=100, description="Patterns of names that `match` leaves out all the same."
    )

    @property
    def label(self) -> str:
        """What people call the project: its name, or its id; of many the pattern."""
        label = self.name or self.id or self.match
        assert label is not None, "a project without id, name and match is refused before it is used"
        return label

    def covers(self, name: str) -> bool:
        """Return whether a project of that name is matched, and not left out."""
        is_left_out = any(fnmatchcase(name, one) for one in self.exclude)
        return self.match is not None and fnmatchcase(name, self.match) and not is_left_out


class Settings(BaseSettings):
    """The whole configuration. `load.py` builds it from a file and variables; tests and demos may from values."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix="LASTGOOD_",
        env_nested_delimiter="__",
        case_sensitive=True,
    )

    vercel: VercelSettings = Field(default=VercelSettings(), description="How to reach Vercel.")
    store: StoreSettings = Field(default=StoreSettings(), description="The daemon's memory.")
    web: WebSettings = Field(default=WebSettings(), description="Metrics and health.")
    log: LogSettings = Field(default=LogSettings(), description="Logging.")
    poll: PollSettings = Field(default=PollSettings(), description="The rhythm of reading.")
    drain: DrainReceiverSettings = Field(default=DrainReceiverSettings(), description="The receiver of log drains.")
    webhooks: WebhookReceiverSettings = Field(
        default=WebhookReceiverSettings(), description="The receiver of Vercel's webhooks."
    )
    status_page: StatusPageSettings = Field(default=StatusPageSettings(), description="Vercel's own word for it.")
    defaults: PolicySettings = Field(default=PolicySettings(), description="The policy of every project.")
    profiles: dict[str, PolicySettings] = Field(
        default={}, max_length=PROFILES_MAX, description="Policies that several projects share, by name."
    )
    projects: tuple[ProjectSettings, ...] = Field(
        min_length=1, max_length=PROJECTS_MAX, description="The projects that are watched, at least one."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from nowhere but the caller: `load.py` reads file and variables, and knows each value's place."""
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, values: Any) -> Any:
        """Give each project what its profile, and then `defaults`, says of the keys that it does not set itself."""
        if not isinstance(values, Mapping) or not isinstance(projects := values.get("projects"), (list, tuple)):
            return values
        inherited, profiles = _given(values.get("defaults")), _given(values.get("profiles"))
        own = [_given(project) for project in projects]
        # A profile that does not exist gives nothing here, and is told as a broken law.
        shared = [_given(profiles.get(str(project.get("profile")))) for project in own]
        return {**values, "projects": [{**inherited, **two, **one} for one, two in zip(own, shared, strict=True)]}

    def policy_for(self, project: ProjectSettings) -> Policy:
        """Return the policy of one of `projects`, whose keys already hold what profile and `defaults` gave them."""
        return replace(project.policy(), poll_gap_max=max(GAP_INTERVALS * self.poll.interval, 2 * MINUTE))


def _given(section: object) -> dict[str, Any]:
    """Return the keys that *section*, a mapping or a model, was given; none for anything else."""
    if isinstance(section, BaseModel):
        return {name: getattr(section, name) for name in section.model_fields_set}
    return dict(section) if isinstance(section, Mapping) else {}


def variables() -> Mapping[str, tuple[str, ...]]:
    """Return every variable that is a setting, with the way to its key. Lists have none: they are in the file only."""
    names: dict[str, tuple[str, ...]] = {}
    prefix = str(Settings.model_config["env_prefix"])
    for section, field in Settings.model_fields.items():
        model: Any = field.annotation
        keys = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
        for key, inner in keys.items():
            if key not in ("sources", "detectors", "guardrails"):
                assert inner is not None
                names[f"{prefix}{section}__{key}".upper()] = (section, key)
    return names
