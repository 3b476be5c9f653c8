"""Histories for tests: minutes of one project, in which a test shows only what matters to it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.backtest.history import Counted, Header, Origin, ProjectHistory, RecordedActivation, in_order
from daemon.backtest.lines import end_line, header_line, project_lines
from daemon.core.facts import ActivationOrigin, DeploymentId, ErrorRateSample, ProjectId
from tests.builders import MINUTE, a_policy

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SHOP = ProjectId("prj_shop")
OLD, GOOD, BAD, FIX = (DeploymentId(f"dpl_{name}") for name in ("old", "good", "bad", "fix"))
LAG = timedelta(seconds=60)
POLICY = a_policy()
"""Two of three bad minutes over 5 %, five errors and twenty requests at least."""


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def an_activation(
    deployment: DeploymentId, minutes: float | None, origin: ActivationOrigin = ActivationOrigin.RELEASE, **facts: Any
) -> RecordedActivation:
    """Return the activation of a build that was made two minutes before it, or a day before START when undated."""
    moment = None if minutes is None else at(minutes)
    created_at = facts.pop("created_at", moment - 2 * MINUTE if moment else START - timedelta(days=1))
    return RecordedActivation(deployment, moment, created_at, origin, **facts)


SERVED_BEFORE = an_activation(GOOD, None, ActivationOrigin.FIRST_SEEN)


def counts(
    deployment: DeploymentId, minutes: Iterable[int], errors: int = 0, requests: int | None = 100, **facts: Any
) -> list[ErrorRateSample]:
    """Return one sample a minute."""
    return [ErrorRateSample(deployment, at(one), at(one + 1), requests, errors, **facts) for one in minutes]


def a_history(
    samples: Sequence[ErrorRateSample], activations: Sequence[RecordedActivation] = (SERVED_BEFORE,), **facts: Any
) -> ProjectHistory:
    """Return two hours of the shop, of which counts are read `lag` after their end, late ones `late` after it."""
    lag, late = facts.pop("lag", LAG), facts.pop("late", 4 * MINUTE)
    read = in_order(Counted(sample, late if sample.is_late else lag) for sample in samples)
    values: dict[str, Any] = {"project": SHOP, "start": START, "until": at(120)}
    return ProjectHistory(**(values | facts), activations=tuple(activations), counts=read)


def samples_of(history: ProjectHistory) -> list[ErrorRateSample]:
    return [one.sample for one in history.counts]


def a_bad_release(errors: int = 30, *, fixed: bool = True, **facts: Any) -> ProjectHistory:
    """Return a history in which bad goes live after half an hour with so many errors in 100, and fix after an hour."""
    activations = [SERVED_BEFORE, an_activation(BAD, 30)]
    samples = counts(GOOD, range(30)) + counts(BAD, range(30, 60 if fixed else 120), errors)
    if fixed:
        activations.append(an_activation(FIX, 60))
        samples += counts(FIX, range(60, 120))
    return a_history(samples, activations, **facts)


def text_of(*histories: ProjectHistory, header: Header = Header(Origin.OTHER)) -> str:  # noqa: B008 - frozen
    """Return the file that holds *histories*."""
    lines = [header_line(header), *(line for one in histories for line in project_lines(one)), end_line(len(histories))]
    return "\n".join(lines) + "\n"


def write(folder: Path, *histories: ProjectHistory, header: Header = Header(Origin.OTHER)) -> Path:  # noqa: B008
    path = folder / "history.jsonl"
    path.write_text(text_of(*histories, header=header), encoding="utf-8")
    return path
