"""Which dialect is asked: the one that answers is remembered, and refusals that mean something else change nothing."""

from datetime import timedelta

import httpx
import pytest

from daemon.ports.errors import RateLimited, Refused, Unavailable
from tests.unit.sources.observability.serving import MINUTE, PROJECT, SECOND, START, V1_PATH, V2_PATH, Counts, Watcher
from tests.unit.vercel.fakes import an_error

V2, V1 = f"POST {V2_PATH}", f"POST {V1_PATH}"
NOW = START + 2 * MINUTE + 75 * SECOND


def counts_of_every_minute(minutes: int = 200) -> Counts:
    counts = Counts()
    for minute in range(minutes):
        counts.show(minute, 10)
        counts.show(minute, 1, status=500)
    return counts


async def test_the_public_route_is_asked_first_and_then_for_ever():
    watcher = Watcher(counts_of_every_minute())
    for minute in range(3):
        await watcher.read(NOW + minute * MINUTE)
    assert set(watcher.asked) == {V2}


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_where_the_public_route_is_gone_the_newer_one_is_asked_and_remembered(status):
    counts = counts_of_every_minute()
    counts.gone = {V2_PATH: status}
    watcher = Watcher(counts)
    assert (await watcher.read(NOW)).samples
    assert watcher.asked == [V2, V1, V1]
    watcher.forget_asked()
    assert (await watcher.read(NOW + MINUTE)).samples
    assert watcher.asked == [V1, V1]


@pytest.mark.parametrize(
    ("message", "is_gone"),
    [
        ("This endpoint is deprecated, use /metrics/v1", True),
        ("Unknown metric vercel.request.count", True),
        ("Invalid request: the hobby plan only grants access to the latest 7 days of data.", False),
        ("Invalid granularity", False),
    ],
)
async def test_a_400_means_another_route_only_where_it_says_so(message, is_gone):
    counts = counts_of_every_minute()
    serve = counts.__call__

    def refuse(request: httpx.Request) -> httpx.Response:
        return an_error(400, "bad_request", message) if request.url.path == V2_PATH else serve(request)

    watcher = Watcher(refuse)
    entries = await watcher.ask(NOW)
    assert isinstance(entries[PROJECT], Refused) is not is_gone
    assert (V1 in watcher.asked) is is_gone


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_other_refusals_are_the_same_in_both_dialects(status):
    counts = counts_of_every_minute()
    counts.gone = {V2_PATH: status}
    watcher = Watcher(counts)
    with pytest.raises(Refused) as caught:
        await watcher.read(NOW)
    assert caught.value.status == status
    assert set(watcher.asked) == {V2}


async def test_where_both_routes_are_gone_the_public_ones_refusal_is_told_every_time():
    counts = counts_of_every_minute()
    counts.gone = {V2_PATH: 404, V1_PATH: 403}
    watcher = Watcher(counts)
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            await watcher.read(NOW)
        assert caught.value.status == 404
    assert watcher.asked == [V2, V1, V2, V1]


@pytest.mark.parametrize(("status", "error"), [(500, Unavailable), (429, RateLimited)])
async def test_a_newer_route_in_passing_trouble_is_not_given_up(status, error):
    counts = counts_of_every_minute()
    counts.gone = {V2_PATH: 404, V1_PATH: status}
    watcher = Watcher(counts)
    with pytest.raises(error):
        await watcher.read(NOW)
    counts.gone = {V2_PATH: 404}
    assert (await watcher.read(NOW)).samples


async def test_a_404_of_a_dialect_that_has_answered_tries_the_other_at_most_once_an_hour():
    counts = counts_of_every_minute()
    watcher = Watcher(counts)
    await watcher.read(NOW)
    counts.gone = {V2_PATH: 404, V1_PATH: 404}
    watcher.forget_asked()
    for minute in range(1, 61):
        await watcher.ask(NOW + minute * MINUTE)
    assert watcher.asked == [V2, V1, *[V2] * 59]
    watcher.forget_asked()
    await watcher.ask(NOW + timedelta(hours=1, minutes=1))
    assert watcher.asked == [V2, V1]


@pytest.mark.slow
async def test_routes_that_come_and_go_in_turn_do_not_make_the_dialects_flap():
    counts = counts_of_every_minute()
    watcher = Watcher(counts)
    await watcher.read(NOW)
    watcher.forget_asked()
    changes = 0
    for minute in range(1, 100):
        counts.gone = {V2_PATH: 404} if minute % 2 else {V1_PATH: 404}
        before = len(watcher.asked)
        await watcher.ask(NOW + minute * MINUTE)
        changes += len(set(watcher.asked[before:])) == 2
    assert changes <= 2


@pytest.mark.parametrize(("choice", "route", "other"), [("v2", V2, V1_PATH), ("metrics_v1", V1, V2_PATH)])
async def test_a_dialect_that_was_chosen_is_the_only_one_asked(choice, route, other):
    counts = counts_of_every_minute()
    counts.gone = {V1_PATH if other == V2_PATH else V2_PATH: 404}
    watcher = Watcher(counts, dialect=choice)
    with pytest.raises(Refused):
        await watcher.read(NOW)
    assert set(watcher.asked) == {route}


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (an_error(402, "payment_required", "Observability Plus is required"), Refused),
        (an_error(404, "not_found", "Observability Data not found."), Refused),
        (an_error(408, "query_timeout"), Unavailable),
        (an_error(500), Unavailable),
    ],
)
async def test_trouble_is_told_and_never_a_zero(step, kind):
    watcher = Watcher(lambda _: step)
    entries = await watcher.ask(NOW)
    assert type(entries[PROJECT]) is kind
    assert PROJECT not in watcher.watermarks
