"""One corruption of one source, played against a whole daemon that would have every reason to act."""

from datetime import timedelta

from daemon.core.incident import State, Trigger
from daemon.core.signal import Signal, SignalReason, SignalState
from daemon.emulator import Scenario
from tests.integration.corruptions.matrix import Absorbed, Answers, Batches, Case, Fading, Fault, Held, Skew
from tests.integration.corruptions.subjects import SETTINGS, Spoiled, Subject, truth
from tests.integration.whole_daemon import Whole, whole_daemon

Counts = dict[str, tuple[int, int]]
CLEAN_MINUTES = 1.0
SPOILED_MINUTES = 5.0
HEALED_MINUTES_MAX = 12.0
POLICY = {
    "posture": "automatic",
    "detectors": [{"kind": "threshold", "breaches_min": 2, "windows": 3, "min_requests": 15}],
    "lag_max": timedelta(minutes=3),
    "observe_every": timedelta(seconds=5),
}


def a_bad_deployment(subject: Subject) -> Scenario:
    """A deployment goes out after a minute that fails three requests of ten for good."""
    # Whoever only visits sees all there is: beside others it would be one visitor of many.
    per_second = 0 if subject is Subject.PROBE else 2
    bad = {"project": "web", "name": "bad", "failures": [{"ratio": 0.3, "status": 500}]}
    project = {
        "name": "web",
        "domains": ["www.example.com"],
        "deployments": [{"name": "v1", "age": "9d"}, {"name": "v2", "age": "2d"}, {"name": "good", "age": "20h"}],
        "traffic": {"requests_per_second": per_second, "preview": {"requests_per_second": 0.2, "error_ratio": 0.5}},
    }
    happenings = [{"at": "80s", "deploy": bad}]
    return Scenario.model_validate(
        {"name": "spoiled", "history": "3m", "projects": [project], "happenings": happenings}
    )


async def play(case: Case) -> None:
    """Let the corruption begin, last and end, and judge everything that the daemon made of it."""
    surroundings = Spoiled(case.subject)
    sources = (SETTINGS[case.subject],)
    scenario = a_bad_deployment(case.subject)
    failure: AssertionError | None = None
    async with whole_daemon(scenario, surroundings=surroundings, sources=sources, **POLICY) as whole:
        try:
            await _play(case, whole, surroundings)
        except AssertionError as error:
            # The daemon's task groups would wrap it up.
            failure = error
    if failure:
        raise failure


async def _play(case: Case, whole: Whole, surroundings: Spoiled) -> None:
    await whole.watch(CLEAN_MINUTES)
    _inflict(case, whole, surroundings)
    if isinstance(case.fate, Absorbed):
        await _check_absorbed(case.fate, whole, surroundings)
    else:
        await _check_held(case.fate, whole)
    assert surroundings.spoiled or isinstance(case.infliction, Fault | Skew), "nothing was spoiled"
    _heal(whole, surroundings)
    await _check_healed(whole)


def _inflict(case: Case, whole: Whole, surroundings: Spoiled) -> None:
    match case.infliction:
        case Fault(spec):
            whole.fault(**spec)
        case Answers(edit):
            assert surroundings.meddler is not None
            surroundings.meddler.edit = edit
        case Batches(edit):
            assert surroundings.courier is not None
            surroundings.courier.edit = edit
        case Skew(seconds):
            surroundings.clock.ahead_seconds = seconds


def _heal(whole: Whole, surroundings: Spoiled) -> None:
    """End whatever was inflicted."""
    whole.world.faults.clear()
    surroundings.clock.ahead_seconds = 0.0
    for one in (surroundings.meddler, surroundings.courier):
        if one:
            one.edit = None


async def _check_held(fate: Held | Fading, whole: Whole) -> None:
    signals: list[Signal] = []
    for _ in range(round(SPOILED_MINUTES * 60 / whole.interval_seconds)):
        await whole.watch(whole.interval_seconds / 60)
        assert whole.state.signal is not None
        signals.append(whole.state.signal)
        assert whole.sent == 0, whole.state.decision.sentence
    assert whole.production == "bad", "nothing tempted the daemon"
    assert whole.state.incident is None, whole.state.decision.sentence
    told = [(one.state, one.reason) for one in signals]
    clean = (SignalState.OBSERVING, SignalReason.NONE)
    if isinstance(fate, Fading):
        assert {one for one in told[:-2] if one != clean} <= {
            (SignalState.BLIND, SignalReason.LAGGING),
            (SignalState.DEGRADED, SignalReason.NO_TRAFFIC),
            (SignalState.BLIND, SignalReason.NO_TRAFFIC),
        }
        assert signals[-1].reason in fate.reasons, signals[-1]
        return
    trouble = [one for one in told if one != clean]
    assert len(trouble) > 2, told
    right = {fate.reason, fate.other}
    # What is answered slowly makes polls so long that counts are old before the third.
    states = [state for state, reason in trouble[:2] if reason is not SignalReason.LAGGING]
    assert set(states) == {SignalState.DEGRADED}, told
    assert {reason for _, reason in trouble} <= right, (told, signals[-1].sentence)
    assert {state for state, _ in trouble[2:]} == {SignalState.BLIND}, told
    assert told[-1] in {(SignalState.BLIND, one) for one in right}, told


async def _check_absorbed(fate: Absorbed, whole: Whole, surroundings: Spoiled) -> None:
    signals: list[Signal] = []
    for _ in range(round(HEALED_MINUTES_MAX * 60 / whole.interval_seconds)):
        await whole.watch(whole.interval_seconds / 60)
        assert whole.state.signal is not None
        signals.append(whole.state.signal)
        if whole.ended:
            break
    assert {one.state for one in signals} == {SignalState.OBSERVING}, [
        (one.state.value, one.reason.value, one.sentence) for one in signals if one.state is not SignalState.OBSERVING
    ]
    _check_rolled_back(whole)
    source = surroundings.source
    assert source is not None
    assert source.began is not None
    assert source.until is not None
    known = truth(whole.world, source.began, source.until)
    assert is_near(source.totals, known, exact=fate.is_exact), f"counted {source.totals}, in truth {known}"


async def _check_healed(whole: Whole) -> None:
    if whole.ended is None:
        await whole.watch_until_ended(minutes_max=HEALED_MINUTES_MAX)
    _check_rolled_back(whole)
    await whole.watch(2)
    assert whole.state.signal is not None
    assert whole.state.signal.state is SignalState.OBSERVING, whole.state.signal
    assert (whole.sent, whole.applied) == (1, 1)


def _check_rolled_back(whole: Whole) -> None:
    assert whole.ended is not None, whole.state.decision.sentence
    assert whole.ended.trail[-1].trigger is Trigger.RECOVERED, whole.ended.trail[-1].sentence
    found = (whole.ended.state, whole.sent, whole.applied, whole.production)
    assert found == (State.RESOLVED, 1, 1, "good"), found


def is_near(counted: Counts, known: Counts, *, exact: bool) -> bool:
    """Return whether the counts are those of the world, or about those where they need not be the same."""
    if exact:
        return counted == known
    pairs = [(counted.get(one, (0, 0))[i], known.get(one, (0, 0))[i]) for one in {*counted, *known} for i in (0, 1)]
    return all(abs(one - two) <= 15 + two / 10 for one, two in pairs)
