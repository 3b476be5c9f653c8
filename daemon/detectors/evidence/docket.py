"""All of one project: the open bucket, the baseline, and a trial for each recent activation, fed with what serves."""

from typing import NamedTuple

from daemon.detectors.evidence.baseline import UNTAUGHT, Baseline, learn, learn_idle, look_on
from daemon.detectors.evidence.blips import BLIPS_MAX, blip_of, learned_sustain
from daemon.detectors.evidence.buckets import BUCKET_SECONDS, NOTHING_OWED, Bucket, Owed, Poll, is_full, merge, settle
from daemon.detectors.evidence.knobs import Design
from daemon.detectors.evidence.trial import Held, Trial, begin_trial, is_in_window, is_successors, judge

TRIALS_MAX = 8
TRIAL_WINDOWS = 4
"""A trial is fed for so many attribution windows; for longer only where trouble that began in its own goes on."""
RESTORATIONS_MAX = 8
_SLACK_SECONDS = 1e-6


class Live(NamedTuple):
    """Activation *number*: what it deployed serves from `at` on, in seconds.

    `restores` is the number of the earlier activation of the same deployment that it brings back, and two less than its
    own where that one is not on record; None for a release. `is_first` says that it served when we first looked, and
    `is_dated` that it is known since when. `has_trial` is False for a release that had its time before we came.
    """

    number: int
    at: float
    restores: int | None = None
    is_first: bool = False
    is_dated: bool = True
    has_trial: bool = True


class Docket(NamedTuple):
    """The memory of one project. Times are seconds of event time.

    `number` is the activation whose counts came last and `clock` the end of those counts; None before the first.
    `probation_until` is when the baseline may learn again. `opened` is the bucket that is filling, `newest` the one
    that closed last. `restorations` are the newest activations that brought a deployment back. `blips` are how long
    the last kept deployments failed after their activation.
    """

    number: int | None = None
    clock: float | None = None
    probation_until: float | None = None
    owed: Owed = NOTHING_OWED
    opened: Bucket | None = None
    newest: Bucket | None = None
    trials: tuple[Trial, ...] = ()
    restorations: tuple[int, ...] = ()
    blips: tuple[float, ...] = ()
    baseline: Baseline = UNTAUGHT


EMPTY = Docket()


def go_live(docket: Docket, live: Live, design: Design) -> Docket:
    """Return the docket when the counts of activation *live* begin: a release is put on trial, a restoration is not.

    Both are on probation. What a restoration rolled back from is settled: nobody shall roll it back again.
    """
    docket = _hand_over(docket, live, design)
    if live.restores is not None:
        return docket._replace(
            trials=tuple(one for one in docket.trials if not _is_settled(one, live.restores)),
            restorations=(*docket.restorations, live.number)[-RESTORATIONS_MAX:],
        )
    if not live.has_trial:
        return docket
    sustain = learned_sustain(docket.blips) if design.sustain is None else design.sustain
    trial = begin_trial(live.number, live.at, docket.baseline, design, sustain=sustain)
    # What served before we came tells nothing about how long a cold start fails.
    trial = trial._replace(is_first=live.is_first, is_blip_due=live.is_dated and not live.is_first)
    return docket._replace(trials=(*docket.trials, trial)[-TRIALS_MAX:])


def _hand_over(docket: Docket, live: Live, design: Design) -> Docket:
    """Return the docket with the open bucket closed as it is: no bucket holds counts of two deployments."""
    if docket.opened:
        docket = _close(docket, docket.opened, design, clock=docket.clock, owed=docket.owed, may_decide=False)
    docket = _take_blips(docket, live.at, design, is_rolled_back=live.restores is not None)
    is_proved = live.is_first and not live.is_dated
    return docket._replace(
        number=live.number,
        clock=None,
        owed=NOTHING_OWED,
        probation_until=docket.probation_until if is_proved else live.at + design.window,
    )


def _is_settled(trial: Trial, restored: int) -> bool:
    """Return whether the trial's suspect was rolled back from, by going back to activation number *restored*."""
    return trial.number > restored or (trial.onset is not None and trial.onset.number > restored)


def _take_blips(docket: Docket, at: float, design: Design, *, is_rolled_back: bool) -> Docket:
    """Return the docket when what served gives way at *at*, in seconds: nobody can learn from it any more."""
    blips, trials = docket.blips, []
    for trial in docket.trials:
        if trial.is_blip_due:
            known = None if is_rolled_back else blip_of(trial, at, window=design.window, is_over=True)
            blips = blips if known is None else (*blips, known)[-BLIPS_MAX:]
        trials.append(trial._replace(is_blip_due=False))
    return docket._replace(blips=blips, trials=tuple(trials))


def date_back(docket: Docket, number: int, at: float, design: Design) -> Docket:
    """Return the docket when activation *number* turns out to have been at *at*, in seconds, and thus earlier."""
    trials = tuple(one._replace(at=at) if one.number == number else one for one in docket.trials)
    if docket.number != number:
        return docket._replace(trials=trials)
    return docket._replace(trials=trials, probation_until=at + design.window)


def observe(docket: Docket, poll: Poll, design: Design, *, may_decide: bool = True) -> Docket:
    """Return the docket after one poll of what serves. A poll that was counted already changes nothing.

    Nothing is decided where nobody counted, nor unless *may_decide*: counts may lag behind a change of production that
    is known already.
    """
    clock = docket.clock
    if clock is not None:
        if poll.start < clock - _SLACK_SECONDS:
            return docket
        if docket.opened and poll.start > clock + _SLACK_SECONDS:
            # Polls that are not there were missed; the open bucket may have come of age meanwhile.
            until = min(poll.start, max(clock, docket.opened.start + BUCKET_SECONDS))
            docket = _count(docket, Poll(clock, until, 0, 0, is_missed=True), design, may_decide=False)
    return _count(docket, poll, design, may_decide=may_decide and not poll.is_missed)


def observe_late(docket: Docket, requests: int, errors: int) -> Docket:
    """Return the docket with late counts of what serves: more of the open bucket, or of the next poll without one."""
    opened = docket.opened
    if opened is None:
        owed = docket.owed
        return docket._replace(owed=Owed(owed.requests + requests, owed.errors + errors))
    requests, errors, owed = settle(docket.owed, requests, errors)
    return docket._replace(
        owed=owed,
        opened=opened._replace(requests=opened.requests + requests, errors=opened.errors + errors),
    )


def _count(docket: Docket, poll: Poll, design: Design, *, may_decide: bool) -> Docket:
    number, _, probation_until, owed, opened, newest, trials, restorations, blips, baseline = docket
    assert number is not None, "counts belong to an activation"
    if not poll.is_missed:
        requests, errors, owed = settle(owed, poll.requests, poll.errors)
        if requests != poll.requests or errors != poll.errors:
            poll = Poll(poll.start, poll.end, requests, errors)
    bucket = merge(opened, poll, number)
    if bucket is None:
        return _wait(docket, poll, owed)
    if is_full(bucket):
        return _close(docket, bucket, design, clock=poll.end, owed=owed, may_decide=may_decide)
    return Docket(number, poll.end, probation_until, owed, bucket, newest, trials, restorations, blips, baseline)


def _wait(docket: Docket, poll: Poll, owed: Owed) -> Docket:
    """Return the docket after a poll in which nobody came."""
    baseline = docket.baseline
    if not poll.is_missed and is_off_probation(docket, poll.start):
        baseline = learn_idle(baseline, poll.start, poll.end)
    return docket._replace(clock=poll.end, owed=owed, baseline=baseline)


def is_off_probation(docket: Docket, start: float) -> bool:
    """Return whether the baseline may learn from counts that begin at *start*, in seconds."""
    return docket.probation_until is None or start >= docket.probation_until - _SLACK_SECONDS


def _close(
    docket: Docket, bucket: Bucket, design: Design, *, clock: float | None, owed: Owed, may_decide: bool
) -> Docket:
    number, _, probation_until, _, _, _, trials, restorations, blips, baseline = docket
    if trials:
        trials = tuple([_try(one, bucket, restorations, design, may_decide=may_decide) for one in trials])
        if any(one.held is not Held.NOTHING for one in trials):
            trials = tuple([_leave_to_owner(_doubt(one, trials, bucket), trials, design) for one in trials])
        # Neither a blip is known nor a trial over before its first window has passed.
        if bucket.end - trials[0].at >= design.window - _SLACK_SECONDS:
            blips, trials = _retire(blips, trials, bucket, design)
    teach = learn if is_off_probation(docket, bucket.start) else look_on
    baseline = teach(baseline, bucket, floor=design.limit_floor, lift=design.lift)
    return Docket(number, clock, probation_until, owed, None, bucket, trials, restorations, blips, baseline)


def _try(trial: Trial, bucket: Bucket, restorations: tuple[int, ...], design: Design, *, may_decide: bool) -> Trial:
    judged = judge(trial, bucket, design, may_decide=may_decide)
    if judged.held is not Held.ROLLBACK or judged.onset is None:
        return judged
    if trial.is_first or judged.onset.number in restorations:
        # There is nothing to roll back to; and a rollback is never rolled back.
        return judged._replace(held=Held.ALERT)
    return judged


def _doubt(trial: Trial, trials: tuple[Trial, ...], bucket: Bucket) -> Trial:
    """Return the trial with an alert for a rollback where the errors go on that began before its suspect went live.

    Whoever released the suspect may have meant to mend just them: going back would bring them back for sure.
    """
    onset = trial.onset
    if trial.held is not Held.ROLLBACK or onset is None:
        return trial
    since = next((one.at for one in trials if one.number == onset.number), trial.at)
    for older in trials:
        is_older = older.number < onset.number and older.onset is not None and older.onset.at < since
        if is_older and not is_successors(older, bucket):
            return trial._replace(held=Held.ALERT)
    return trial


def _leave_to_owner(trial: Trial, trials: tuple[Trial, ...], design: Design) -> Trial:
    """Return the trial without an alert about errors that may be the doing of a later release, which has its own trial.

    To whoever served before, what a release breaks long after is a late onset; to the release it is its own.
    """
    onset = trial.onset
    if trial.held is not Held.ALERT or onset is None or onset.number == trial.number:
        return trial
    owner = next((one for one in trials if one.number == onset.number), None)
    if owner is None or not 0.0 <= onset.at - owner.at < design.window:
        return trial
    return trial._replace(held=Held.NOTHING)


def _is_over(trial: Trial, bucket: Bucket, design: Design) -> bool:
    """Return whether the trial ends with *bucket*: it has had its time, and nothing that it can still find is going on.

    At a visitor or two a minute evidence takes longer than that, so that trouble that began in the trial's window is
    followed for as long as the deployment serves.
    """
    if bucket.end - trial.at < TRIAL_WINDOWS * design.window or trial.held is Held.ROLLBACK:
        return False
    serves_still = trial.number == bucket.number and not trial.is_first
    return not (serves_still and is_in_window(trial, design))


def _retire(
    blips: tuple[float, ...], trials: tuple[Trial, ...], bucket: Bucket, design: Design
) -> tuple[tuple[float, ...], tuple[Trial, ...]]:
    """Return the blips with what *trials* taught, and those trials that go on."""
    going_on = []
    for trial in trials:
        is_over = _is_over(trial, bucket, design)
        blip = blip_of(trial, bucket.end, window=design.window, is_over=is_over) if trial.is_blip_due else None
        if blip is not None:
            blips = (*blips, blip)[-BLIPS_MAX:]
        if not is_over:
            going_on.append(trial if blip is None else trial._replace(is_blip_due=False))
    return blips, tuple(going_on)


def deciding(docket: Docket) -> Trial | None:
    """Return the trial whose decision holds: a rollback before an alert, the oldest first; None when there is none."""
    for held in (Held.ROLLBACK, Held.ALERT):
        for trial in docket.trials:
            if trial.held is held:
                return trial
    return None
