"""A campaign is the same for the same seed, however many processes share it, and controls come out as they must."""

import subprocess
import sys
from pathlib import Path

import pytest

from daemon.certify.campaign import Campaign, plan_runs, run_campaign
from daemon.certify.kinds import BAD, BY_NAME, HEALTHY, HISTORIES, OUTAGES
from daemon.certify.report import Share, count
from daemon.core.policy import Policy
from tests.unit.certify.scenes import ALWAYS, NEVER, a_policy, a_scene

TREE = Path(__file__).resolve().parents[3]
FEW = tuple((kind.name, 1) for kind in (*HEALTHY, *BAD, *OUTAGES))


def a_campaign(policy: Policy, runs: tuple[tuple[str, int], ...] = FEW, seed: int = 1) -> Campaign:
    return Campaign(policy, a_scene(), seed, runs)


def test_healthy_days_are_shared_evenly_and_every_kind_is_told() -> None:
    runs = dict(plan_runs(400))
    assert {runs[kind.name] for kind in HEALTHY} == {50}
    assert {runs[kind.name] for kind in BAD} == {19}
    assert {runs[kind.name] for kind in OUTAGES} == {25}
    assert set(dict(plan_runs(1)).values()) == {1}
    assert a_campaign(a_policy(), plan_runs(1)).stories == len(BY_NAME) - len(HISTORIES)


@pytest.mark.slow
def test_a_policy_that_never_acts_is_never_wrong_and_misses_everything() -> None:
    report = count(run_campaign(a_campaign(a_policy(NEVER)), workers=1))
    assert report.false == Share(0, len(HEALTHY))
    assert report.missed == Share(len(BAD), len(BAD))
    assert report.outages == Share(0, len(OUTAGES))
    assert report.delays.median is None


@pytest.mark.slow
def test_a_policy_that_always_acts_misses_nothing_and_is_wrong_every_time() -> None:
    report = count(run_campaign(a_campaign(a_policy(ALWAYS)), workers=1))
    assert report.false == Share(len(HEALTHY), len(HEALTHY))
    assert report.missed == Share(0, len(BAD))
    assert report.outages == Share(len(OUTAGES), len(OUTAGES))


@pytest.mark.slow
def test_a_small_campaign_of_the_threshold_rule_has_these_figures() -> None:
    campaign = a_campaign(a_policy(), runs=tuple((kind.name, 3) for kind in (*HEALTHY, *BAD)), seed=11)
    report = count(run_campaign(campaign, workers=1))
    assert report.false.total == 24
    assert (report.rows["jump-3"].missed, report.rows["low-traffic-bad"].missed) == (3, 3)
    assert report.rows["jump-30"].delays.median == 180
    assert report.rows["jump-100"].missed == 0


@pytest.mark.slow
def test_the_number_of_processes_does_not_matter() -> None:
    campaign = a_campaign(a_policy(), runs=(("jump-30", 9), ("steady", 2), ("ramp", 2)))
    told: list[int] = []
    alone, together = (run_campaign(campaign, workers=workers, on_progress=told.append) for workers in (1, 2))
    assert alone == together
    assert [(one.kind, one.number) for one in alone[8:11]] == [("jump-30", 8), ("steady", 0), ("steady", 1)]
    assert sum(told) == 2 * campaign.stories


@pytest.mark.slow
def test_another_seed_tells_other_stories() -> None:
    one, other = (run_campaign(a_campaign(a_policy(), (("ramp", 3),), seed), workers=1) for seed in (1, 2))
    assert [each.delay_seconds for each in one] != [each.delay_seconds for each in other]


@pytest.mark.slow
def test_workers_end_when_the_process_that_started_them_is_killed() -> None:
    script = (
        "from daemon.certify.campaign import Campaign, run_campaign\n"
        "from tests.unit.certify.scenes import a_policy, a_scene\n"
        "if __name__ == '__main__':\n"
        "    import multiprocessing as m\n"
        "    told = lambda _: print(*[one.pid for one in m.active_children()], flush=True)\n"
        "    run_campaign(Campaign(a_policy(), a_scene(), 1, (('jump-30', 5000),)), workers=2, on_progress=told)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=TREE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
        # Each worker holds the other end of this pipe: it closes when the last of them is gone.
        parent.stdout.read()
    assert len(workers) == 2
