"""What really failed, as somebody labelled it, and how a replay's rollbacks compare with that."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daemon.backtest.history import HistoryError, ProjectHistory
from daemon.backtest.replay import Outcome, Row
from daemon.core.facts import ProjectId
from daemon.vercel.wire import EPOCH

ONSET_SLACK = timedelta(minutes=2)
"""An onset is known to the bucket in which it lies, and clocks differ: so far outside of a label it still matches."""


class Label(BaseModel):
    """A failure: `cause` deployment or anything else; times are milliseconds since 1970. Other keys are ignored.

    `endMs` is null while it lasts. `previousId` is the deployment to go back to, null where there is none or where
    nobody says. Source: `lastgood emulator --labels`, docs/emulator.md.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    project: str = Field(min_length=1)
    project_id: str | None = Field(default=None, alias="projectId")
    cause: Literal["deployment", "upstream"]
    deployment: str | None = Field(default=None, alias="deploymentId")
    previous: str | None = Field(default=None, alias="previousId")
    at_ms: int = Field(alias="atMs")
    end_ms: int | None = Field(default=None, alias="endMs")

    @property
    def at(self) -> datetime:
        """When it began."""
        return EPOCH + timedelta(milliseconds=self.at_ms)

    def is_of(self, project: ProjectId) -> bool:
        """Return whether it is about *project*, which it may call by id or name."""
        return project in (self.project, self.project_id)

    def holds(self, onset_at: datetime) -> bool:
        """Return whether an onset lies within the failure, give or take ONSET_SLACK."""
        end = None if self.end_ms is None else EPOCH + timedelta(milliseconds=self.end_ms)
        return self.at - ONSET_SLACK <= onset_at and (end is None or onset_at <= end + ONSET_SLACK)


class _Labels(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    labels: tuple[Label, ...]


def read_labels(path: Path) -> tuple[Label, ...]:
    """Return the labels of the JSON file at *path*. Raises HistoryError when it holds none."""
    try:
        return _Labels.model_validate_json(path.read_bytes()).labels
    except OSError as error:
        raise HistoryError(f"cannot read {path}: {error.strerror or error}") from error
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise HistoryError(f"{path}: not labels: {where}: {detail['msg']}; see docs/backtest.md") from error


class Truth(StrEnum):
    """What the labels say of one rollback."""

    TRUE = "true"
    WRONG_TARGET = "wrong_target"
    FALSE = "false"


@dataclass(frozen=True, slots=True)
class Score:
    """How a policy did against the labels. `missed` are failures of deployments that it would not have rolled back."""

    truths: tuple[tuple[Row, Truth], ...]
    missed: tuple[Label, ...]
    seconds_to_act: tuple[float, ...]

    def count(self, truth: Truth) -> int:
        """Return how many rollbacks are such."""
        return sum(one is truth for _, one in self.truths)

    @property
    def median_seconds_to_act(self) -> float | None:
        """The median time from a labelled failure's beginning to its rollback; None without any."""
        return median(self.seconds_to_act) if self.seconds_to_act else None


def score(rows: Iterable[Row], labels: Sequence[Label], history: ProjectHistory) -> Score:
    """Return how the rollbacks among *rows* compare with the *labels* of their project that began within *history*."""
    ours = [one for one in labels if one.is_of(history.project) and history.start <= one.at < history.until]
    failures = [one for one in ours if one.cause == "deployment"]
    truths: list[tuple[Row, Truth]] = []
    found: list[Label] = []
    seconds: list[float] = []
    for row in rows:
        if row.outcome is not Outcome.ROLLBACK:
            continue
        label = next((one for one in failures if _is_about(one, row)), None)
        truths.append((row, _truth(label, row)))
        if label is not None:
            found.append(label)
            seconds.append((row.at - label.at).total_seconds())
    return Score(tuple(truths), tuple(one for one in failures if one not in found), tuple(seconds))


def _is_about(label: Label, row: Row) -> bool:
    return label.deployment == row.suspect and row.onset_at is not None and label.holds(row.onset_at)


def _truth(label: Label | None, row: Row) -> Truth:
    if label is None:
        return Truth.FALSE
    return Truth.TRUE if label.previous in (None, row.target) else Truth.WRONG_TARGET


def add_up(scores: Iterable[Score]) -> Score:
    """Return the score of many projects together."""
    scores = list(scores)
    return Score(
        truths=tuple(truth for one in scores for truth in one.truths),
        missed=tuple(label for one in scores for label in one.missed),
        seconds_to_act=tuple(seconds for one in scores for seconds in one.seconds_to_act),
    )
