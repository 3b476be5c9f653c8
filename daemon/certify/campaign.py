"""Tells many stories to one policy, on all cores: the same stories for the same seed, however many cores there are."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

from daemon.certify.kinds import BAD, BY_NAME, HEALTHY, OUTAGES, STORIES, Kind, draw
from daemon.certify.scene import Scene
from daemon.certify.trial import run_trial
from daemon.certify.verdict import Judged, judge
from daemon.core.policy import Policy

_BATCH_STORIES = 8
_BAD_PER_HEALTHY = 0.5
_OTHERS_PER_HEALTHY = 0.125

Progress = Callable[[int], None]
"""Called with the number of stories that were told since the last call."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A policy, the scene of all its stories, and how many of each kind are told."""

    policy: Policy
    scene: Scene
    seed: int
    runs: tuple[tuple[str, int], ...]

    @property
    def stories(self) -> int:
        """How many stories are told."""
        return sum(count for _, count in self.runs)


def plan_runs(days: int) -> tuple[tuple[str, int], ...]:
    """Return how often each kind is told for *days* healthy project-days, all healthy kinds alike; never less.

    Bad releases are half as many, outages and longer stories an eighth each; every kind is told at least once.
    """
    plans: list[tuple[str, int]] = []
    groups: Sequence[tuple[Sequence[Kind], float]] = (
        (HEALTHY, 1.0),
        (BAD, _BAD_PER_HEALTHY),
        (OUTAGES, _OTHERS_PER_HEALTHY),
        (STORIES, _OTHERS_PER_HEALTHY),
    )
    for kinds, share in groups:
        each = max(1, -(-round(days * share) // len(kinds)))
        plans += [(kind.name, each) for kind in kinds]
    return tuple(plans)


def run_campaign(campaign: Campaign, *, workers: int, on_progress: Progress = lambda _told: None) -> list[Judged]:
    """Return every story judged, in the order of the plan."""
    batches = list(_batches(campaign))
    told = (
        _alone(campaign, batches, on_progress) if workers == 1 else _together(campaign, batches, workers, on_progress)
    )
    return [one for _, batch in sorted(told, key=lambda item: item[0]) for one in batch]


def _batches(campaign: Campaign) -> Iterator[tuple[str, range]]:
    for name, count in campaign.runs:
        for first in range(0, count, _BATCH_STORIES):
            yield name, range(first, min(count, first + _BATCH_STORIES))


def _alone(
    campaign: Campaign, batches: Sequence[tuple[str, range]], on_progress: Progress
) -> Iterator[tuple[int, list[Judged]]]:
    for index, (name, numbers) in enumerate(batches):
        judged = _tell(campaign, name, numbers)
        on_progress(len(judged))
        yield index, judged


def _together(
    campaign: Campaign, batches: Sequence[tuple[str, range]], workers: int, on_progress: Progress
) -> Iterator[tuple[int, list[Judged]]]:
    # A fresh interpreter for each worker: a fork would copy the progress bar's thread in whatever state it is.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_die_with_parent) as pool:
        waiting: dict[Future[list[Judged]], int] = {
            pool.submit(_tell, campaign, name, numbers): index for index, (name, numbers) in enumerate(batches)
        }
        try:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    judged = future.result()
                    on_progress(len(judged))
                    yield waiting.pop(future), judged
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _die_with_parent() -> None:
    """Let this worker end when the process that started it is gone: a killed one closes no pool."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by a process"

    def outlive_nobody() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=outlive_nobody, daemon=True).start()


def _tell(campaign: Campaign, name: str, numbers: range) -> list[Judged]:
    kind = BY_NAME[name]
    judged = []
    for number in numbers:
        trace = draw(kind, campaign.scene, seed=campaign.seed, number=number)
        judged.append(judge(kind, number, trace, run_trial(trace, campaign.policy)))
    return judged
