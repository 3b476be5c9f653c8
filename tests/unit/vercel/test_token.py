"""What Vercel says of our token: until when it is good, and for what."""

from datetime import UTC, datetime

import httpx
import pytest

from daemon.ports.errors import RateLimited, Refused, Unavailable, Unintelligible
from daemon.ports.token import TokenReader
from daemon.vercel.token import TokenFacts, VercelToken, read_token
from tests.unit.vercel.emulated import emulated
from tests.unit.vercel.fakes import TEAM, a_reader, an_error

LATER, SOONER = 1_801_267_200_000, 1_798_761_600_000
LATER_AT, SOONER_AT = datetime(2027, 1, 30, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
OTHER = "team_zzzDEF0123456789abcdef99"
USER, OURS, THEIRS = {"type": "user"}, {"type": "team", "teamId": TEAM}, {"type": "team", "teamId": OTHER}


def a_token(**changes: object) -> httpx.Response:
    token = {"id": "5d9f", "name": "lastgood", "type": "token", "activeAt": 1, "createdAt": 1} | changes
    return httpx.Response(200, json={"token": token})


async def read(step: httpx.Response, *, team_id: str | None = TEAM) -> TokenFacts | None:
    transport, script, _ = a_reader(step, team_id=team_id)
    facts = await read_token(transport)
    assert script.asked == ["GET /v5/user/tokens/current"]
    return facts


async def test_a_token_tells_its_name_its_end_and_whom_it_reaches() -> None:
    found = await read(a_token(expiresAt=LATER, scopes=[USER, OURS]))
    assert found == TokenFacts("lastgood", LATER_AT, ("user", TEAM))


@pytest.mark.parametrize("changes", [{}, {"expiresAt": None}, {"expiresAt": None, "scopes": None}, {"scopes": []}])
async def test_a_token_without_an_end_does_not_expire(changes: dict[str, object]) -> None:
    assert await read(a_token(**changes)) == TokenFacts("lastgood", None, ())


@pytest.mark.parametrize(
    ("changes", "ends_at"),
    [
        ({"expiresAt": LATER, "scopes": [OURS | {"expiresAt": SOONER}]}, SOONER_AT),
        ({"expiresAt": SOONER, "scopes": [OURS | {"expiresAt": LATER}]}, SOONER_AT),
        ({"scopes": [OURS | {"expiresAt": SOONER}]}, SOONER_AT),
        ({"expiresAt": LATER, "revokedAt": SOONER}, SOONER_AT),
        # By which scope the team is reached: its own, or else the account's.
        ({"scopes": [OURS, USER | {"expiresAt": SOONER}]}, None),
        ({"scopes": [THEIRS | {"expiresAt": SOONER}, USER | {"expiresAt": LATER}]}, LATER_AT),
        ({"scopes": [THEIRS | {"expiresAt": SOONER}]}, None),
        # Being asked for the password again is no end of the token.
        ({"scopes": [USER | {"sudo": {"origin": "totp", "expiresAt": SOONER}}]}, None),
    ],
)
async def test_the_earliest_end_that_concerns_us_counts(changes: dict[str, object], ends_at: datetime | None) -> None:
    found = await read(a_token(**changes))
    assert found is not None
    assert found.expires_at == ends_at


async def test_of_a_personal_account_the_accounts_own_scope_counts() -> None:
    found = await read(a_token(scopes=[THEIRS, USER | {"expiresAt": SOONER}]), team_id=None)
    assert found is not None
    assert found.expires_at == SOONER_AT


@pytest.mark.parametrize("status", [403, 404])
async def test_a_token_that_may_not_ask_about_itself_tells_nothing(status: int) -> None:
    assert await read(an_error(status)) is None


@pytest.mark.parametrize(("status", "error"), [(401, Refused), (402, Refused), (429, RateLimited), (500, Unavailable)])
async def test_other_trouble_is_told(status: int, error: type[Exception]) -> None:
    transport, _, _ = a_reader(an_error(status))
    with pytest.raises(error):
        await read_token(transport)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": None},
        {"token": {"expiresAt": "tomorrow"}},
        {"token": {"expiresAt": True}},
        {"token": {"expiresAt": -1}},
        {"token": {"scopes": [{}]}},
        {"token": {"scopes": "all"}},
    ],
)
async def test_a_token_of_another_form_is_unintelligible(body: object) -> None:
    transport, _, _ = a_reader(httpx.Response(200, json=body))
    with pytest.raises(Unintelligible, match="the token's own description"):
        await read_token(transport)


@pytest.mark.parametrize(
    ("step", "ends_at"), [(a_token(expiresAt=LATER), LATER_AT), (a_token(), None), (an_error(404), None)]
)
async def test_the_port_is_told_the_end_alone(step: httpx.Response, ends_at: datetime | None) -> None:
    transport, _, _ = a_reader(step)
    token: TokenReader = VercelToken(transport)
    assert await token.read_token_expiry() == ends_at


async def test_the_emulated_vercel_describes_the_reading_token() -> None:
    async with emulated() as vercel:
        assert await read_token(vercel.reader) == TokenFacts("reader", None, ("user",))


async def test_a_token_of_one_project_is_not_told_what_it_is() -> None:
    tokens = [
        {"value": "tok_emulator_read", "name": "one", "projects": ["web"]},
        {"value": "tok_emulator_act", "name": "act", "team": "acme"},
    ]
    async with emulated(tokens=tokens) as vercel:
        assert await read_token(vercel.reader) is None
        assert await read_token(vercel.actor) == TokenFacts("act", None, (vercel.team_id,))
