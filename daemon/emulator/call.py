"""One API request on its way through the emulator, its answer, and what a route is."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import QueryParams

from daemon.emulator.deliveries import Deliveries
from daemon.emulator.errors import ApiError, bad_request, forbidden, not_found
from daemon.emulator.fault_specs import RouteGroup
from daemon.emulator.faults import Strikes
from daemon.emulator.model import Project, Team, Token
from daemon.emulator.world import World

JSON_CONTENT_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. ``body`` None is an empty body, sent without a Content-Type, as the real API does on 201."""

    status: int
    body: Any = None
    applied: str | None = None
    """What the request changed, in words for the ledger; None when it changed nothing."""
    content_type: str | None = JSON_CONTENT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: AsyncIterator[str] | None = None
    """What is sent piece by piece in place of ``body``; None for an answer in one piece."""
    holds_headers: bool = False
    """Send not even the headers of a ``stream`` before its first piece."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has been authenticated and matched to a route."""

    world: World
    token: Token
    query: QueryParams
    path: Mapping[str, str]
    body: Any
    strikes: Strikes
    headers: Mapping[str, str] = field(default_factory=dict)
    raw_body: bytes = b""
    deliveries: Deliveries = field(kw_only=True)

    def scoped_team(self) -> Team:
        """Return the team that ``teamId`` or ``slug`` names, else the default team; a foreign one is a 403."""
        wanted = self.query.get("teamId") or self.query.get("slug")
        if not wanted:
            if self.world.knobs.missing_team_id == "default-team":
                return self.team_named(self.world.team.id)
            raise not_found("Project not found.")
        return self.team_named(wanted)

    def account_team(self) -> Team:
        """Return the scoped team; what belongs to the whole of it is no business (403) of a project-scoped token."""
        if self.token.projects is not None:
            raise forbidden()
        return self.scoped_team()

    def team_named(self, id_or_slug: str) -> Team:
        """Return a team by id or slug; one that the token cannot reach is a 403."""
        for team in self.teams():
            if id_or_slug in (team.id, team.slug):
                return team
        raise forbidden(f'Not authorized: Trying to access resource under scope "{id_or_slug}".')

    def teams(self) -> list[Team]:
        """Return the teams that the token reaches. Source: Vercel docs, "Access Tokens", scope."""
        only = self.token.team
        return [team for team in self.world.teams.values() if only in (None, team.slug)]

    def scoped_project(self) -> Project:
        """Return the project that the path names, within the team and the token's limits; else a 404."""
        return self.reachable_project(self.path["project"], self.scoped_team())

    def reachable_project(self, id_or_name: str, team: Team) -> Project:
        """Return a project of *team* by id or name if the token may see it; else a 404."""
        project = self.world.project(id_or_name)
        if not self.can_reach(project, team):
            raise not_found("Project not found.")
        return project

    def can_reach(self, project: Project, team: Team) -> bool:
        """Tell whether *project* is one of *team* and the token may see it."""
        allowed = self.token.projects
        is_allowed = allowed is None or project.id in allowed or project.name in allowed
        return is_allowed and project.team_id == team.id

    def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object; anything else is a 400."""
        if not isinstance(self.body, dict):
            raise bad_request("Invalid request: the body must be a JSON object.")
        return self.body

    def whole_number(self, name: str, default: int | None) -> int | None:
        """Return a query parameter as an integer; text that is none is a 400."""
        text = self.query.get(name)
        if text is None or text == "":
            return default
        if not re.fullmatch(r"-?\d{1,16}", text):
            raise bad_request(f"Invalid request: `{name}` should be a number.")
        return int(text)


Handler = Callable[[Call], Answer | Awaitable[Answer]]
"""Answers a call; one that has to send something first is a coroutine."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the API. ``is_mutating`` says whether it may change something: some reads are POSTs."""

    group: RouteGroup
    methods: frozenset[str]
    pattern: re.Pattern[str]
    handler: Handler
    is_mutating: bool


def route(
    group: RouteGroup,
    method: str,
    template: str,
    handler: Handler,
    *,
    versions: str = r"v\d{1,2}",
    mutating: bool = False,
) -> Route:
    """Return a route; in *template* ``{v}`` is one of *versions* and ``{name}`` one segment of the path."""
    pattern = re.escape(template).replace(r"\{v\}", f"(?:{versions})")
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
    return Route(group, frozenset({method}), re.compile(pattern), handler, mutating)


def limited(call: Call, *, default: int, maximum: int) -> int:
    """Return the ``limit`` of a list, between 1 and *maximum*; anything else is a 400."""
    limit = call.whole_number("limit", default)
    assert limit is not None
    if not 1 <= limit <= maximum:
        raise bad_request(f"Invalid request: `limit` should be between 1 and {maximum}.")
    return limit


__all__ = ["Answer", "ApiError", "Call", "Handler", "Route", "limited", "route"]
