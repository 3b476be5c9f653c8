"""Measures what deciding costs: microseconds an update and bytes of memory, beside a plain two-number threshold.

Run: python -m bench.decision [--repeats N]. Every poll closes a bucket of 100 requests, the worst case. "trial" is one
activation under test (evidence, sum, gates), "docket" the whole project with one trial, eight trials or none (then the
baseline learns), "detector" the adapter with its finding, and "step" one poll of one project through the core, with
production read, samples judged and the tick decided. Times are CPU time of this process, the best of N runs, so that
what else runs on the machine counts little; the threshold beside them says how fast the machine is.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from daemon.core.event import CycleEnded, ProductionObserved, SamplesObserved
from daemon.core.facts import (
    Activation,
    ActivationOrigin,
    Deployment,
    DeploymentId,
    ErrorRateSample,
    Instant,
    Production,
    ProjectId,
    ReadyState,
)
from daemon.core.guardrail import Posture
from daemon.core.policy import Policy
from daemon.core.state import ProjectState
from daemon.core.step import step
from daemon.detectors.evidence.buckets import Bucket, Poll
from daemon.detectors.evidence.detector import Evidence
from daemon.detectors.evidence.docket import EMPTY, Docket, Live, go_live, observe
from daemon.detectors.evidence.knobs import Design
from daemon.detectors.evidence.trial import judge
from daemon.guardrails import complete

START = datetime(2026, 3, 1, tzinfo=UTC)
POLL = 10.0
UPDATES = 80
HISTORY = 2160
PROJECTS = 10_000
GOAL_MICROSECONDS, GOAL_BYTES, GOAL_CORES = 5.0, 1024, 0.03
DESIGN = Design()


def best(run: Callable[[], int], repeats: int) -> float:
    """Return the microseconds of one of the updates that *run* makes and counts."""
    found = []
    for _ in range(repeats):
        began = time.process_time_ns()
        updates = run()
        found.append((time.process_time_ns() - began) / updates / 1000)
    return min(found)


def errors_of(index: int) -> int:
    """Return a few errors: one in every fifth bucket."""
    return 0 if index % 5 else 1


def a_docket(trials: int) -> Docket:
    """Return six hours of history and so many activations, a minute apart."""
    docket, now = go_live(EMPTY, Live(0, 0.0, is_first=True, is_dated=False), DESIGN), 0.0
    for index in range(HISTORY):
        docket = observe(docket, Poll(now, now + POLL, 100, errors_of(index)), DESIGN)
        now += POLL
    for number in range(1, trials + 1):
        docket = go_live(docket, Live(number, now), DESIGN)
        for index in range(6):
            docket = observe(docket, Poll(now, now + POLL, 100, errors_of(index)), DESIGN)
            now += POLL
    return docket


def run_docket(docket: Docket) -> int:
    now = docket.clock or 0.0
    for index in range(UPDATES):
        docket = observe(docket, Poll(now, now + POLL, 100, errors_of(index)), DESIGN)
        now += POLL
    return UPDATES


def run_trial(docket: Docket) -> int:
    trial, now = docket.trials[-1], docket.clock or 0.0
    for index in range(UPDATES):
        trial = judge(trial, Bucket(now, now + POLL, 100, errors_of(index), 1, POLL), DESIGN, may_decide=True)
        now += POLL
    return UPDATES


def run_threshold() -> int:
    """What an operator would write: an error rate over a limit for three polls."""
    breaches = 0
    for index in range(UPDATES):
        requests, errors = 100, errors_of(index)
        breaches = breaches + 1 if requests >= 20 and errors / requests >= 0.05 else 0
    return UPDATES


def a_deployment(name: str, age: timedelta) -> Deployment:
    return Deployment(DeploymentId(name), ProjectId("prj"), f"{name}.app", START - age, ReadyState.READY)


OLD, NEW = a_deployment("dpl_old", timedelta(days=9)), a_deployment("dpl_new", timedelta(minutes=1))


def a_sample(index: int) -> ErrorRateSample:
    start = START + timedelta(seconds=index * POLL)
    return ErrorRateSample(NEW.id, start, start + timedelta(seconds=POLL), 100, errors_of(index))


def activations() -> list[Activation]:
    return [Activation(OLD, None, ActivationOrigin.FIRST_SEEN), Activation(NEW, START, ActivationOrigin.RELEASE, START)]


def run_detector(samples: list[ErrorRateSample], known: list[Activation]) -> int:
    detector = Evidence()
    memory = detector.begin()
    for sample in samples:
        memory, _ = detector.update(memory, sample, known)
    return len(samples)


def a_project(policy: Policy) -> ProjectState:
    """Return the state of a project whose new deployment has just gone live."""
    state = ProjectState(ProjectId("prj"))
    for seconds, serving in ((-60.0, OLD), (0.0, NEW)):
        moment = Instant(START + timedelta(seconds=seconds), 1000.0 + seconds)
        state, _ = step(state, ProductionObserved(moment, Production(serving)), policy)
    return state


def run_step(state: ProjectState, policy: Policy, events: list[Any]) -> int:
    for event in events:
        state, _ = step(state, event, policy)
    return UPDATES


def polls() -> list[Any]:
    """Return what a poll tells the core, for each poll."""
    told: list[Any] = []
    for index in range(UPDATES):
        sample = a_sample(index)
        moment = Instant(sample.end, 1000.0 + (index + 1) * POLL)
        told.append(ProductionObserved(moment, Production(NEW)))
        told.append(SamplesObserved(moment, "bench", (sample,), sample.end))
        told.append(CycleEnded(moment))
    return told


def bytes_of(docket: Docket) -> int:
    """Return the packed size without the baseline's cells."""
    return len(msgspec.msgpack.encode(docket._replace(baseline=docket.baseline._replace(hours=(), minutes=()))))


def a_policy(*detectors: Any) -> Policy:
    return Policy(posture=Posture.OBSERVE, detectors=detectors, guardrails=complete(()))


def main() -> None:
    """Print the table and where it misses the goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    none, one, eight = a_docket(0), a_docket(1), a_docket(8)
    samples, known, events = [a_sample(index) for index in range(UPDATES)], activations(), polls()
    policy = a_policy(Evidence())
    bare = replace(policy, detectors=())
    state = a_project(policy)
    rows = {
        "plain threshold": best(run_threshold, repeats),
        "trial": best(lambda: run_trial(one), repeats),
        "docket, 1 trial": best(lambda: run_docket(one), repeats),
        "docket, 8 trials": best(lambda: run_docket(eight), repeats // 4 + 1),
        "docket, learning": best(lambda: run_docket(none), repeats),
        "detector": best(lambda: run_detector(samples, known), repeats // 4 + 1),
        "step, no detector": best(lambda: run_step(state, bare, events), repeats // 4 + 1),
        "step, evidence": best(lambda: run_step(state, policy, events), repeats // 4 + 1),
    }
    for name, microseconds in rows.items():
        print(f"{name:18s}{microseconds:9.2f} us")
    sizes = {"1 trial": bytes_of(one), "8 trials": bytes_of(eight)}
    print("packed memory without the baseline's cells: " + ", ".join(f"{k} {v} bytes" for k, v in sizes.items()))
    cores = PROJECTS / POLL * rows["step, evidence"] / 1e6
    print(f"{PROJECTS} projects polled every {POLL:.0f} s: {cores:.1%} of a core in `step`")
    print(f"goals: an update {GOAL_MICROSECONDS:.0f} us, {GOAL_BYTES} bytes, {GOAL_CORES:.0%} of a core")


if __name__ == "__main__":
    main()
