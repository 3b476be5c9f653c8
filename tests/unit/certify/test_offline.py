"""The evidence rule decides the same by its own offline driver and through the daemon's whole `step`.

The two share the mathematics and nothing else: each has its own polls, activations, lag and choice of the target.
"""

import json

import pytest

from daemon.certify.kinds import BY_NAME, HISTORIES, draw
from daemon.certify.trace import as_line
from daemon.certify.traffic import Traffic
from daemon.certify.trial import run_trial
from daemon.detectors.evidence.detector import Evidence
from daemon.detectors.evidence.offline import judge_trace, parse_trace
from tests.unit.certify.scenes import a_policy, a_scene

# A driver that reads the story cannot know that production moved by the rule's own hand.
SCRIPTED = [name for name in BY_NAME if not name.endswith("-fix") and name not in {kind.name for kind in HISTORIES}]
PER_KIND = 4


@pytest.mark.slow
@pytest.mark.parametrize("lag_polls", [0, 1])
@pytest.mark.parametrize("name", SCRIPTED)
def test_step_and_the_offline_driver_decide_the_same(name: str, lag_polls: int) -> None:
    rule = Evidence.model_validate({"sensitivity": "fast"})
    scene = a_scene(poll_seconds=60, lag_polls=lag_polls, traffic=Traffic())
    for number in range(PER_KIND):
        trace = draw(BY_NAME[name], scene, seed=5, number=number)
        counted = (one for one in run_trial(trace, a_policy(rule)).rollbacks if one.poll >= trace.truth.judged_from)
        told = [(one.poll, one.target) for one in counted][:1]
        offline = judge_trace(parse_trace(json.dumps(as_line(trace, name=name))), rule.design)
        assert told == ([] if offline.decided_poll is None else [(offline.decided_poll, offline.target)]), number
