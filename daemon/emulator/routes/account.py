"""Who the token belongs to: user and teams."""

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, limited, route
from daemon.emulator.errors import forbidden, not_found
from daemon.emulator.fault_specs import RouteGroup


def show_user(call: Call) -> Answer:
    """Answer the account; a project-scoped token has none (as observed live by others)."""
    if call.token.projects is not None:
        raise not_found("User not found.")
    return Answer(200, wire.user(call.world.user, call.world.team))


def show_team(call: Call) -> Answer:
    """Answer one team by id or slug."""
    if call.token.projects is not None:
        raise forbidden("Not authorized")
    return Answer(200, wire.team(call.team_named(call.path["team"])))


def list_teams(call: Call) -> Answer:
    """Answer the teams of the account."""
    limit = limited(call, default=20, maximum=100)
    teams = [] if call.token.projects is not None else call.teams()
    rows = [wire.team(team) for team in teams[:limit]]
    return Answer(200, {"teams": rows, "pagination": wire.pagination(rows, more=len(teams) > limit)})


ROUTES = (
    route(RouteGroup.USER, "GET", "/v2/user", show_user),
    route(RouteGroup.TEAMS, "GET", "/teams/{team}", show_team),
    route(RouteGroup.TEAMS, "GET", "/{v}/teams/{team}", show_team, versions="v2"),
    route(RouteGroup.TEAMS, "GET", "/{v}/teams", list_teams, versions="v1|v2"),
)
