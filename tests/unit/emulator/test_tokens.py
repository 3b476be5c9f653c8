"""The token as it sees itself: by ``current`` or its own id, and no other one."""

from dataclasses import dataclass

import pytest

from daemon.emulator.model import Token
from tests.unit.emulator.driving import ACTOR, READER, Driver, a_scenario, driving


@dataclass(frozen=True, slots=True)
class ExpiringToken(Token):
    """A token that a world holds for a while."""

    expires_at_ms: int | None = None


async def test_a_token_is_described_in_the_form_of_the_sdk(vercel: Driver) -> None:
    token = (await vercel.json("/v5/user/tokens/current"))["token"]
    created = vercel.world.team.created_at_ms
    scope = {"type": "user", "origin": "manual", "createdAt": created}
    assert token == {
        "id": token["id"],
        "name": "actor",
        "type": "token",
        "origin": "manual",
        "scopes": [scope],
        "createdAt": created,
        "activeAt": vercel.world.now_ms,
    }
    assert await vercel.json(f"/v5/user/tokens/{token['id']}") == {"token": token}
    assert ACTOR not in str(token)


async def test_each_token_is_another_and_none_sees_the_others(vercel: Driver) -> None:
    mine = (await vercel.json("/v5/user/tokens/current"))["token"]["id"]
    async with vercel.client_as(READER) as reader:
        assert (await reader.get("/v5/user/tokens/current")).json()["token"]["name"] == "reader"
        assert (await reader.get(f"/v5/user/tokens/{mine}")).status_code == 404


async def test_the_end_of_a_token_is_told_when_it_has_one(vercel: Driver) -> None:
    token = vercel.world.tokens[ACTOR]
    ends = ExpiringToken(token.value, token.name, token.read_only, token.projects, expires_at_ms=1_800_000_000_000)
    vercel.world.tokens[ACTOR] = ends
    found = (await vercel.json("/v5/user/tokens/current"))["token"]
    assert (found["expiresAt"], found["scopes"][0]["expiresAt"]) == (1_800_000_000_000, 1_800_000_000_000)


@pytest.mark.parametrize(("limits", "status"), [({"projects": ["web"]}, 404), ({"team": "acme"}, 200)])
async def test_what_a_token_is_limited_to_decides_what_it_is_told(limits: dict[str, object], status: int) -> None:
    tokens = [{"value": ACTOR, "name": "limited", **limits}]
    async with driving(a_scenario(tokens=tokens)) as driver:
        response = await driver.get("/v5/user/tokens/current")
        assert response.status_code == status
        if status == 200:
            (scope,) = response.json()["token"]["scopes"]
            assert (scope["type"], scope["teamId"]) == ("team", driver.world.team.id)


async def test_without_a_token_there_is_nothing_to_describe(vercel: Driver) -> None:
    async with vercel.client_as(None) as nobody:
        assert (await nobody.get("/v5/user/tokens/current")).status_code == 401
    async with vercel.client_as("tok_wrong") as stranger:
        assert (await stranger.get("/v5/user/tokens/current")).status_code == 403
