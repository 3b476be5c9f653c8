"""A backtest from history to comparisons, one project at a time, wherever the history comes from."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from daemon.backtest.compare import Comparison, compare, is_chosen
from daemon.backtest.from_journal import read_journals
from daemon.backtest.history import HistoryError, Ids, ProjectHistory
from daemon.backtest.history_file import open_history
from daemon.backtest.labels import Label
from daemon.ports.store import Store
from daemon.settings import Settings
from daemon.stores.sqlite import open_sqlite


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried on history: both configurations, on the projects that match the shell pattern `project`.

    `labels` is None where nobody says what really failed, `lag` where counts are read as late as recorded.
    """

    today: Settings
    new: Settings
    project: str = "*"
    labels: Sequence[Label] | None = None
    lag: timedelta | None = None

    def compare(self, history: ProjectHistory) -> Comparison:
        """Replay one project under both."""
        return compare(history, today=self.today, new=self.new, labels=self.labels, lag=self.lag)


def try_on_file(trial: Trial, path: Path) -> Sequence[Comparison]:
    """Return the comparisons of the projects in a history file. Raises HistoryError."""
    with open_history(path) as history:
        if trial.labels is not None and history.header.ids is Ids.PSEUDONYMS:
            raise HistoryError(f"{path} holds pseudonyms, which labels cannot name; record it with --names")
        chosen = (one for one in history.projects if is_chosen(trial.today, one.project, trial.project))
        return _some([trial.compare(one) for one in chosen], trial, str(path))


async def try_on_journal(trial: Trial, *, since: datetime) -> Sequence[Comparison]:
    """Return the comparisons of what today's daemon has in its journal. Raises HistoryError and StoreUnavailable."""
    path = trial.today.store.path
    histories = journal_histories(trial.today, project=trial.project, since=since)
    return _some([trial.compare(one) async for one in histories], trial, f"the journal of {path}")


async def try_on(trial: Trial, histories: AsyncIterator[ProjectHistory]) -> Sequence[Comparison]:
    """Return the comparisons of *histories*, from wherever. Raises HistoryError when there is none."""
    return _some([trial.compare(one) async for one in histories], trial, "what was pulled")


async def journal_histories(settings: Settings, *, project: str, since: datetime) -> AsyncIterator[ProjectHistory]:
    """Yield the history of each chosen project in the daemon's store, which is opened to be read and no more."""
    store: Store = await open_sqlite(settings.store.path, read_only=True)
    try:
        async for history in read_journals(store, lambda one: is_chosen(settings, one, project), since=since):
            yield history
    finally:
        await store.close()


def _some(compared: Sequence[Comparison], trial: Trial, where: str) -> Sequence[Comparison]:
    if not compared:
        # Silence would read as "nothing new" to whoever asked with --fail-on-new.
        raise HistoryError(f"no project that matches {trial.project!r} has counts in {where}; nothing was compared")
    return compared
