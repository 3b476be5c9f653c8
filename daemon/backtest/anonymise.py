"""Takes out of a history what tells whose it is. What is counted stays as it is."""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.backtest.history import ProjectHistory, RecordedActivation, Span
from daemon.backtest.lines import EPOCH
from daemon.core.facts import DeploymentId, ErrorRateSample, ProjectId

_CHARACTERS = 12
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Anonymiser:
    """One export's pseudonyms and its shift. The salt is random, is written nowhere, and serves one export only.

    The same id has the same pseudonym throughout an export, and another one in the next. Times are moved by whole
    weeks, those of all projects alike, so that the week of `since` becomes the one that begins on 1 January 2001.
    """

    salt: bytes
    since: datetime

    def apply(self, history: ProjectHistory) -> ProjectHistory:
        """Return *history* under pseudonyms, with its times shifted."""
        return replace(
            history,
            project=ProjectId(self._pseudonym("p", history.project)),
            start=self._shift(history.start),
            until=self._shift(history.until),
            activations=tuple(self._activation(one) for one in history.activations),
            counts=tuple(replace(one, sample=self._sample(one.sample)) for one in history.counts),
            no_data=tuple(Span(self._shift(one.start), self._shift(one.until)) for one in history.no_data),
        )

    def _sample(self, sample: ErrorRateSample) -> ErrorRateSample:
        start, end = self._shift(sample.start), self._shift(sample.end)
        return replace(sample, deployment=self._deployment(sample.deployment), start=start, end=end)

    def _activation(self, one: RecordedActivation) -> RecordedActivation:
        return replace(
            one,
            deployment=self._deployment(one.deployment),
            at=None if one.at is None else self._shift(one.at),
            created_at=self._shift(one.created_at),
            commit=None if one.commit is None else self._pseudonym("c", one.commit),
        )

    def _deployment(self, deployment: DeploymentId) -> DeploymentId:
        return DeploymentId(self._pseudonym("d", deployment))

    def _pseudonym(self, kind: str, text: str) -> str:
        digest = hmac.new(self.salt, f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()
        return f"{kind}_{digest[:_CHARACTERS]}"

    def _shift(self, moment: datetime) -> datetime:
        return moment - (self.since - EPOCH) // _WEEK * _WEEK
