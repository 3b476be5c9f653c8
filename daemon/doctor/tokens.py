"""Checks of what everything else needs: the store, the way to Vercel, the two tokens."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeGuard

from daemon.core.signal import SignalReason
from daemon.doctor.facts import General, NotAsked, TokenSeen, Told
from daemon.doctor.line import Line, Name, fail, ok, skip, warn
from daemon.doctor.remedies import remedy_for, remedy_of
from daemon.engine.tokens import WARNED_BEFORE
from daemon.ports.errors import PortError, Refused
from daemon.vercel.token import TokenFacts

SHARED = "the token to read acts, too: no other one is configured"


def store_is_usable(general: General) -> Line:
    """Whether the daemon can write its memory, with the tables of this version."""
    path = general.settings.store.path
    if general.store.trouble:
        remedy = "name another file in store.path, or do what the sentence says; run doctor as the daemon's user"
        return fail(Name.STORE, general.store.trouble, remedy)
    return ok(Name.STORE, f"{path} is writable" if general.store.exists else f"{path} will be created")


def vercel_answers(general: General) -> Line:
    """Whether Vercel's API answers at all, be it with a refusal."""
    told, url = general.read.user, general.settings.vercel.api_url
    if _is_no_answer(told):
        return fail(Name.VERCEL, str(told), remedy_of(told))
    return ok(Name.VERCEL, f"{url} answers")


def read_token_is_valid(general: General) -> Line:
    """Whether the token to read is one, and whose."""
    if _is_no_answer(general.read.user):
        return skip(Name.READ_TOKEN, "Vercel does not answer: see above")
    return _is_valid(Name.READ_TOKEN, general.read)


def read_token_lives(general: General) -> Line:
    """How long the token to read is good for."""
    return _lives(Name.READ_TOKEN_EXPIRY, general.read, general.now)


def read_token_reaches_the_team(general: General) -> Line:
    """Whether the token to read is one for the configured team."""
    return _reaches(Name.READ_TOKEN_SCOPE, general.read, general.settings.vercel.team)


def act_token_is_valid(general: General) -> Line:
    """Whether the token to act is one, and whose."""
    return _unless_shared(Name.ACT_TOKEN, general.act, lambda: _is_valid(Name.ACT_TOKEN, general.act))


def act_token_lives(general: General) -> Line:
    """How long the token to act is good for."""
    name = Name.ACT_TOKEN_EXPIRY
    return _unless_shared(name, general.act, lambda: _lives(name, general.act, general.now))


def act_token_reaches_the_team(general: General) -> Line:
    """Whether the token to act is one for the configured team."""
    name = Name.ACT_TOKEN_SCOPE
    return _unless_shared(name, general.act, lambda: _reaches(name, general.act, general.settings.vercel.team))


def reaches_team(token: TokenSeen, team: str | None) -> bool:
    """Return whether *token* may be asked about *team*: it is valid, and what is known of it does not speak against."""
    if isinstance(token.user, PortError | NotAsked):
        return False
    described = token.described
    return not isinstance(described, TokenFacts) or _is_for(described, team)


def _is_no_answer(told: Told[str | None]) -> TypeGuard[PortError]:
    return isinstance(told, PortError) and not isinstance(told, Refused)


def _unless_shared(name: Name, token: TokenSeen, judge: Callable[[], Line]) -> Line:
    return skip(name, SHARED) if token.is_shared else judge()


def _is_valid(name: Name, token: TokenSeen) -> Line:
    match token.user:
        case NotAsked(why):
            return skip(name, why)
        case Refused() as error:
            return fail(name, str(error), f"make a new token for the team and write it to {_key(name)}")
        case PortError() as error:
            return fail(name, str(error), remedy_of(error))
        case None:
            return ok(name, "valid; it belongs to a project, not to a user")
        case user:
            named = f" ({token.described.name})" if isinstance(token.described, TokenFacts) else ""
            return ok(name, f"valid; of the user {user}{named}")


def _lives(name: Name, token: TokenSeen, now: datetime) -> Line:
    match token.described:
        case NotAsked(why):
            return skip(name, why)
        case PortError() as error:
            return fail(name, str(error), remedy_of(error))
        case None:
            return ok(name, "the token may not ask how long it lives")
        case TokenFacts(expires_at=None):
            return ok(name, "does not expire by itself")
        case TokenFacts(expires_at=end):
            assert end is not None
            remedy = remedy_for(SignalReason.TOKEN_EXPIRING)
            if end <= now:
                return fail(name, f"ran out at {_text(end)}", remedy)
            if end - now <= WARNED_BEFORE:
                return warn(name, f"runs out at {_text(end)}", remedy)
            return ok(name, f"until {_text(end)}")


def _reaches(name: Name, token: TokenSeen, team: str | None) -> Line:
    match token.described:
        case NotAsked(why):
            return skip(name, why)
        case PortError() as error:
            return skip(name, f"not known: {error}")
        case None:
            return ok(name, "a project's own token; the projects below show what it reaches")
        case TokenFacts() as facts:
            wanted = team or "the personal account"
            if _is_for(facts, team):
                return ok(name, f"reaches {wanted}")
            found = f"reaches {', '.join(facts.scopes)}, and not {wanted}"
            return fail(name, found, "correct vercel.team, or make a token whose scope is that team")


def _is_for(facts: TokenFacts, team: str | None) -> bool:
    # A token of the account reaches every team of its user.
    return not facts.scopes or "user" in facts.scopes or team in facts.scopes


def _key(name: Name) -> str:
    return "vercel.read_token_file" if name is Name.READ_TOKEN else "vercel.act_token_file"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
