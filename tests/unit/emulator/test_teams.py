"""Several teams in one world, and what each kind of token sees of them."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.emulator.driving import ACTOR, Driver, a_project, a_scenario, driving

SHOP = "tok_shop"
DOCS_ONLY = "tok_docs"


def two_teams(**changes: Any) -> Any:
    tokens = [
        {"value": ACTOR, "name": "personal"},
        {"value": SHOP, "name": "shop-team", "team": "shop"},
        {"value": DOCS_ONLY, "name": "docs-only", "projects": ["docs"]},
    ]
    projects = [
        a_project(),
        {"name": "docs"},
        {"name": "cart", "team": "shop", "deployments": [{"name": "v1", "age": "1d"}]},
    ]
    return a_scenario(
        teams=[{"slug": "shop", "name": "Shop", "plan": "hobby"}], tokens=tokens, projects=projects, **changes
    )


async def names(vercel: Driver, token: str, **query: Any) -> list[str] | int:
    async with vercel.client_as(token) as client:
        response = await client.get("/v9/projects", params=query)
    return [row["name"] for row in response.json()["projects"]] if response.status_code == 200 else response.status_code


async def status(vercel: Driver, token: str, path: str, **query: Any) -> int:
    async with vercel.client_as(token) as client:
        return (await client.get(path, params=query)).status_code


async def test_a_personal_token_sees_each_team_by_itself() -> None:
    async with driving(two_teams()) as vercel:
        assert [team["slug"] for team in (await vercel.json("/v2/teams"))["teams"]] == ["acme", "shop"]
        assert await names(vercel, ACTOR) == ["docs", "web"]
        assert await names(vercel, ACTOR, slug="shop") == ["cart"]
        assert await names(vercel, ACTOR, slug="nobody") == 403
        assert (await vercel.json("/v2/user"))["user"]["defaultTeamId"] == vercel.world.team.id


async def test_what_another_team_owns_is_not_found_under_this_one() -> None:
    async with driving(two_teams()) as vercel:
        host = vercel.world.deployment("cart", "v1").url
        assert await status(vercel, ACTOR, "/v9/projects/cart") == 404
        assert await status(vercel, ACTOR, f"/v13/deployments/{host}") == 404
        assert await status(vercel, ACTOR, "/v4/aliases/cart-shop.vercel.app") == 404
        assert await status(vercel, ACTOR, "/v9/projects/cart", slug="shop") == 200
        body = await vercel.json(f"/v13/deployments/{host}", slug="shop")
        assert (body["team"]["slug"], body["plan"], body["inspectorUrl"].split("/")[3]) == ("shop", "hobby", "shop")
        assert (await vercel.json("/v6/deployments"))["deployments"][0]["name"] == "web"
        assert (await vercel.json("/v6/deployments", slug="shop"))["deployments"][0]["name"] == "cart"


async def test_a_token_of_one_team_is_forbidden_every_other_and_must_name_its_own() -> None:
    async with driving(two_teams()) as vercel:
        assert await names(vercel, SHOP, slug="shop") == ["cart"]
        assert await names(vercel, SHOP, slug="acme") == 403
        assert await names(vercel, SHOP) == 403, "without a team the account's default one is meant"
        assert await status(vercel, SHOP, "/teams/acme") == 403
        assert await status(vercel, SHOP, "/v2/user") == 200
        async with vercel.client_as(SHOP) as client:
            assert [team["slug"] for team in (await client.get("/v2/teams")).json()["teams"]] == ["shop"]


async def test_a_token_of_one_project_finds_that_project_and_nothing_else() -> None:
    async with driving(two_teams()) as vercel:
        assert await names(vercel, DOCS_ONLY) == ["docs"]
        assert await names(vercel, DOCS_ONLY, slug="shop") == []
        for path in ("/v9/projects/web", f"/v13/deployments/{vercel.id_of('good')}", "/v4/aliases/www.example.com"):
            assert await status(vercel, DOCS_ONLY, path) == 404
        assert await status(vercel, DOCS_ONLY, "/v2/user") == 404


async def test_the_counts_and_rows_of_a_team_are_its_own() -> None:
    async with driving(two_teams()) as vercel:
        team = next(team for team in vercel.world.teams.values() if team.slug == "shop")
        foreign = {"type": "project", "ownerId": vercel.world.team.id, "projectIds": [vercel.world.project("cart").id]}
        assert (await vercel.query(scope=foreign)).status_code == 404
        assert (await vercel.query(scope={"type": "owner", "ownerId": team.id})).status_code == 402
        assert (await vercel.rows(projectId="cart")).status_code == 404
        assert (await vercel.rows(projectId="cart", ownerId=team.id)).status_code == 200


async def test_each_team_has_its_own_plan() -> None:
    past = [{"name": name, "age": age} for name, age in (("v1", "3d"), ("v2", "2d"), ("v3", "1d"))]
    scenario = a_scenario(
        teams=[{"slug": "shop", "plan": "hobby"}],
        projects=[a_project(), {"name": "cart", "team": "shop", "deployments": past}],
    )
    async with driving(scenario) as vercel:
        assert (await vercel.roll_back("v1")).status_code == 201
        path = f"/v9/projects/cart/rollback/{vercel.id_of('v1', 'cart')}"
        assert (await vercel.client.post(path, params={"slug": "shop"})).status_code == 402


@pytest.mark.parametrize(
    "changes",
    [
        {"teams": [{"slug": "acme"}]},
        {"projects": [{"name": "web", "team": "nobody"}]},
        {"tokens": [{"value": "t", "name": "t", "team": "nobody"}]},
    ],
    ids=str,
)
def test_a_team_that_is_unknown_or_given_twice_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="team"):
        a_scenario(**changes)
