"""What Vercel says of the token that we use: until when it is good, and for what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field, StrictStr

from daemon.ports.errors import Refused
from daemon.vercel.transport import VercelTransport
from daemon.vercel.wire import Milliseconds, WireModel, understand

_UNTOLD = frozenset({403, 404})


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """A token as Vercel describes it. `expires_at` is None for one that does not expire by itself.

    `scopes` holds the ids of the teams that it reaches, and "user" where it reaches the account itself.
    """

    name: str
    expires_at: datetime | None
    scopes: tuple[str, ...] = ()


class _Scope(WireModel):
    type: StrictStr
    team_id: StrictStr | None = Field(None, alias="teamId")
    expires_at: Milliseconds | None = Field(None, alias="expiresAt")


class _Token(WireModel):
    name: StrictStr = ""
    expires_at: Milliseconds | None = Field(None, alias="expiresAt")
    revoked_at: Milliseconds | None = Field(None, alias="revokedAt")
    scopes: Sequence[_Scope] | None = None


class _TokenAnswer(WireModel):
    token: _Token


async def read_token(transport: VercelTransport) -> TokenFacts | None:
    """Return what Vercel says of the token of *transport*; None when the token may not ask (403, 404).

    The expiry is the earliest of the token's own, its revocation, and that of the scope by which it reaches the
    transport's team. A token that is not valid at all is told by every other read as well.
    Raises Unavailable, RateLimited, Refused (but for the two), Unintelligible.
    Source: Vercel OpenAPI, getAuthToken with the id `current`.
    """
    what = "the token's own description"
    try:
        answer = await transport.read("GET", "/v5/user/tokens/current", route="token", what=what)
    except Refused as error:
        if error.status in _UNTOLD:
            return None
        raise
    token = understand(_TokenAnswer, answer, what=what).token
    ends = [token.expires_at, token.revoked_at, *(one.expires_at for one in _concerning(token, transport.team_id))]
    scopes = tuple(dict.fromkeys(one.team_id or one.type for one in token.scopes or ()))
    return TokenFacts(token.name, min((end for end in ends if end), default=None), scopes)


def _concerning(token: _Token, team_id: str | None) -> Sequence[_Scope]:
    """Return the scopes by which the token reaches the team: the team's own, or else the account's."""
    scopes = token.scopes or ()
    return [one for one in scopes if team_id and one.team_id == team_id] or [one for one in scopes if not one.team_id]


class VercelToken:
    """Implements `ports.token.TokenReader` on the token of *transport*."""

    def __init__(self, transport: VercelTransport) -> None:
        self._transport = transport

    async def read_token_expiry(self) -> datetime | None:
        """Return when the token runs out; None for one without an end, or that may not ask. Raises what a read does."""
        facts = await read_token(self._transport)
        return facts.expires_at if facts else None
