"""What an export keeps, and what nobody can read from it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from daemon.backtest.anonymise import Anonymiser
from daemon.backtest.history import Counted, ProjectHistory, Span, in_order
from daemon.backtest.replay import replay
from daemon.core.facts import ProjectId
from tests.unit.backtest.histories import BAD, GOOD, POLICY, START, a_bad_release, an_activation, at, counts, text_of

SALT = b"salt_0123"
SINCE = START - timedelta(days=3)
SHIFT = timedelta(weeks=(SINCE - datetime(2001, 1, 1, tzinfo=UTC)).days // 7)


def a_rich_history() -> ProjectHistory:
    history = a_bad_release(no_data=(Span(at(100), at(101)),))
    late = Counted(counts(GOOD, [2], 1, 3, is_late=True)[0], timedelta(minutes=4))
    activations = (*history.activations[:1], an_activation(BAD, 30, commit="c0ffee"), *history.activations[2:])
    return replace(history, activations=activations, counts=in_order([*history.counts, late]))


def anonymised(salt: bytes = SALT) -> ProjectHistory:
    return Anonymiser(salt, SINCE).apply(a_rich_history())


def test_nothing_that_was_named_is_left() -> None:
    text = text_of(anonymised())
    for name in ("prj_shop", "dpl_good", "dpl_bad", "dpl_fix", "c0ffee", "salt", "2026"):
        assert name not in text


def test_the_same_id_has_one_pseudonym_in_an_export_and_another_in_the_next() -> None:
    one, again, other = anonymised(), anonymised(), anonymised(b"salt_4567")
    assert one == again
    assert {counted.sample.deployment for counted in one.counts} == {entry.deployment for entry in one.activations}
    ids = [{history.project, *(entry.deployment for entry in history.activations)} for history in (one, other)]
    assert len(ids[0]) == 4
    assert not ids[0] & ids[1]
    twin = Anonymiser(SALT, SINCE).apply(replace(a_rich_history(), project=ProjectId(GOOD)))
    assert twin.project.removeprefix("p_") != twin.activations[0].deployment.removeprefix("d_")


def test_days_are_shifted_by_whole_weeks_to_the_first_week_of_2001() -> None:
    before, after = a_rich_history(), anonymised()
    assert before.start - after.start == SHIFT
    assert after.start.weekday() == before.start.weekday()
    assert after.start.time() == before.start.time()
    first = SINCE - SHIFT
    assert datetime(2001, 1, 1, tzinfo=UTC) <= first < datetime(2001, 1, 8, tzinfo=UTC)
    moments = [
        (before.until, after.until),
        (before.activations[0].created_at, after.activations[0].created_at),
        (before.counts[-1].sample.end, after.counts[-1].sample.end),
        (before.no_data[0].until, after.no_data[0].until),
    ]
    assert {one - two for one, two in moments} == {SHIFT}
    assert after.activations[0].at is None


def test_counts_and_delays_are_kept() -> None:
    counted = [
        [(one.sample.requests, one.sample.errors, one.sample.is_late, one.delay) for one in history.counts]
        for history in (a_rich_history(), anonymised())
    ]
    assert counted[0] == counted[1]


def test_a_policy_decides_the_same_on_an_export() -> None:
    [real], [shifted] = replay(a_rich_history(), POLICY).rows, replay(anonymised(), POLICY).rows
    assert shifted.at == real.at - SHIFT
    assert shifted.gates == real.gates
    assert [entry.deployment for entry in anonymised().activations].index(shifted.suspect) == 1
