"""One line of the report: what was looked at, how it stands, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

GENERAL = "lastgood"
"""The group of lines that are about no project in particular."""


class State(StrEnum):
    """How what was looked at stands."""

    OK = "ok"
    WARN = "warn"
    """It works, and somebody should know."""
    FAIL = "fail"
    """It does not work."""
    SKIP = "skip"
    """It was not looked at; another line says why."""


class Name(StrEnum):
    """What is looked at. A source's line has the source's kind behind it."""

    STORE = "store"
    VERCEL = "vercel"
    READ_TOKEN = "read token"  # noqa: S105 - a name, not a password
    READ_TOKEN_EXPIRY = "read token expiry"  # noqa: S105
    READ_TOKEN_SCOPE = "read token scope"  # noqa: S105
    ACT_TOKEN = "act token"  # noqa: S105
    ACT_TOKEN_EXPIRY = "act token expiry"  # noqa: S105
    ACT_TOKEN_SCOPE = "act token scope"  # noqa: S105
    DRAIN_SECRETS = "drain secrets"
    WEBHOOK_SECRETS = "webhook secrets"
    WEBHOOK = "webhook"
    WEBHOOK_ENDPOINT = "webhook endpoint"
    MATCH = "match"
    PROJECT = "project"
    PRODUCTION = "production"
    DOMAINS = "domains"
    ALIAS_JOB = "alias job"
    ROLLING_RELEASE = "rolling release"
    TARGET = "rollback target"
    POSTURE = "posture"
    SOURCE = "source"
    DRAIN = "drain"
    DRAIN_COVERAGE = "drain coverage"
    DRAIN_SAMPLING = "drain sampling"
    DRAIN_ENDPOINT = "drain endpoint"
    DRAIN_SIGNATURE = "drain signature"


@dataclass(frozen=True, slots=True)
class Line:
    """One row. `remedy` is '' where nothing is to be done; `group` is GENERAL or the project's label."""

    name: str
    state: State
    found: str
    remedy: str = ""
    group: str = GENERAL

    def __post_init__(self) -> None:
        must_say = self.state in (State.WARN, State.FAIL)
        assert bool(self.remedy) == must_say, f"{self.name}: a remedy belongs to trouble, and trouble has one"


def ok(name: str, found: str) -> Line:
    """Return a line on what is as it should be."""
    return Line(name, State.OK, found)


def warn(name: str, found: str, remedy: str) -> Line:
    """Return a line on what works, and somebody should know."""
    return Line(name, State.WARN, found, remedy)


def fail(name: str, found: str, remedy: str) -> Line:
    """Return a line on what does not work."""
    return Line(name, State.FAIL, found, remedy)


def skip(name: str, why: str) -> Line:
    """Return a line on what was not looked at."""
    return Line(name, State.SKIP, why)
