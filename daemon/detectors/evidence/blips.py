"""How long errors must last before a rollback, learned from how long those of kept deployments lasted by themselves.

A deployment that fails for a minute while it warms up, and then never again, should not be rolled back for it.
"""

from collections.abc import Sequence

from daemon.detectors.evidence.trial import Trial

BLIPS_MAX = 5
"""So many kept deployments are looked at, and so many are needed."""
SUSTAIN_UNTAUGHT = 90.0
SUSTAIN_LEAST, SUSTAIN_MOST = 30.0, 300.0
_MARGIN = 1.25
_SLACK_SECONDS = 1e-6


def learned_sustain(blips: Sequence[float]) -> float:
    """Return for how many seconds errors must last, from the *blips*, in seconds, of kept deployments."""
    if len(blips) < BLIPS_MAX:
        return SUSTAIN_UNTAUGHT
    return min(SUSTAIN_MOST, max(SUSTAIN_LEAST, _MARGIN * max(blips[-BLIPS_MAX:])))


def blip_of(trial: Trial, now: float, *, window: float, is_over: bool) -> float | None:
    """Return for how many seconds after its activation a kept deployment had errors; None while that is not known.

    0 where there were none, and where they never ended by themselves. It is known once the deployment has served for
    the attribution *window* and its errors are over by the positive test, or once the trial *is_over*.
    """
    is_kept = now >= trial.at + window - _SLACK_SECONDS
    was_counted = trial.calm.was_hot or trial.calm.requests > 0
    if not trial.is_blip_due or not is_kept or not was_counted:
        return None
    if trial.hot_until is None:
        return 0.0
    if trial.calm.is_proved:
        return trial.hot_until - trial.at
    return 0.0 if is_over else None
