"""Tokens that run out soon are told in time; what a token does not tell is nobody's trouble."""

from datetime import datetime, timedelta

import pytest

from daemon.core.signal import SignalReason
from daemon.engine.tokens import TokenWatch
from daemon.ports.errors import PortError, Refused
from tests.fakes.clock import VirtualClock


class FakeToken:
    """A token with an end, without one, or one that cannot be asked."""

    def __init__(self, expires: datetime | None = None, trouble: PortError | None = None) -> None:
        self.expires, self.trouble = expires, trouble

    async def read_token_expiry(self) -> datetime | None:
        if self.trouble:
            raise self.trouble
        return self.expires


@pytest.mark.parametrize(("left", "is_told"), [(timedelta(days=7, seconds=1), False), (timedelta(days=7), True)])
async def test_a_token_is_told_of_a_week_before_it_runs_out(left: timedelta, is_told: bool) -> None:
    clock = VirtualClock()
    watch = TokenWatch({"read": FakeToken(clock.now() + left), "act": FakeToken()}, clock=clock)
    await watch.check()
    told = [(one.source, one.reason) for one in watch.troubles()]
    assert told == ([("the token to read", SignalReason.TOKEN_EXPIRING)] if is_told else [])
    assert set(watch.expiries) == {"read"}


async def test_a_token_that_was_renewed_is_told_of_no_longer() -> None:
    clock = VirtualClock()
    token = FakeToken(clock.now())
    watch = TokenWatch({"read": token}, clock=clock)
    await watch.check()
    assert "runs out at" in watch.troubles()[0].sentence
    token.expires = None
    await watch.check()
    assert (watch.troubles(), watch.expiries) == ((), {})


async def test_what_cannot_be_read_changes_nothing() -> None:
    clock = VirtualClock()
    token = FakeToken(clock.now())
    watch = TokenWatch({"read": token}, clock=clock)
    await watch.check()
    token.trouble = Refused("not found", status=404)
    await watch.check()
    assert len(watch.troubles()) == 1
