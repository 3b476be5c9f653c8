"""What a policy's detectors mean together: any, all, and those that are only listened to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from daemon.core.detector import Finding, Verdict
from daemon.core.policy import Combination, Policy
from daemon.core.state import Watch
from daemon.core.verdict import advice_of, breach_of, is_healthy, onset_of
from daemon.detectors.threshold import Threshold
from tests.builders import GOOD, START, a_policy

HEALTHY, BREACHING, UNSURE = Verdict.HEALTHY, Verdict.BREACHING, Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Named:
    """As much of a detector as its policy looks at."""

    name: str
    dry_run: bool = False
    is_advisory: bool = False


def a_policy_of(*detectors: Named, combine: Combination = Combination.ANY) -> Policy:
    return a_policy(detectors=detectors, combine=combine)


def a_watch(verdicts: Mapping[str, Verdict]) -> Watch:
    findings = {name: Finding(name, verdict, "", 9, 1, 0.1) for name, verdict in verdicts.items()}
    return Watch(GOOD.id, findings=findings)


@pytest.mark.parametrize(
    ("combine", "one", "other", "breach"),
    [
        (Combination.ANY, HEALTHY, HEALTHY, None),
        (Combination.ANY, HEALTHY, BREACHING, "other"),
        (Combination.ANY, BREACHING, BREACHING, "one"),
        (Combination.ALL, HEALTHY, HEALTHY, None),
        (Combination.ALL, UNSURE, BREACHING, None),
        (Combination.ALL, BREACHING, HEALTHY, None),
        (Combination.ALL, BREACHING, BREACHING, "one"),
    ],
)
def test_any_needs_one_detector_and_all_needs_every_one(
    combine: Combination, one: Verdict, other: Verdict, breach: str | None
) -> None:
    found = breach_of(a_watch({"other": other, "one": one}), a_policy_of(Named("one"), Named("other"), combine=combine))
    assert (found.detector if found else None) == breach


@pytest.mark.parametrize("combine", Combination)
def test_a_detector_that_found_nothing_yet_is_no_witness(combine: Combination) -> None:
    found = breach_of(a_watch({"one": BREACHING}), a_policy_of(Named("one"), Named("other"), combine=combine))
    assert (found is not None) is (combine is Combination.ANY)


@pytest.mark.parametrize("combine", Combination)
def test_a_dry_run_has_no_say(combine: Combination) -> None:
    dry = Named("dry", dry_run=True)
    policy = a_policy_of(dry, Named("one"), combine=combine)
    assert breach_of(a_watch({"dry": BREACHING, "one": HEALTHY}), policy) is None
    assert breach_of(a_watch({"dry": HEALTHY, "one": BREACHING}), policy) is not None
    assert is_healthy(a_watch({"dry": BREACHING, "one": HEALTHY}), policy)
    assert breach_of(a_watch({"dry": BREACHING}), a_policy_of(dry, combine=combine)) is None


def test_a_detector_that_the_policy_does_not_name_has_no_say() -> None:
    assert breach_of(a_watch({"gone": BREACHING}), a_policy_of(Named("one"))) is None


def test_the_onset_is_that_of_the_first_detector_with_a_say_that_sees_one() -> None:
    watch = a_watch({"dry": UNSURE, "calm": HEALTHY, "uneasy": UNSURE})
    onsets = {name: replace(watch.findings[name], onset_at=START, onset_before=START) for name in ("dry", "uneasy")}
    watch = replace(watch, findings={**watch.findings, **onsets})
    policy = a_policy_of(Named("dry", dry_run=True), Named("calm"), Named("uneasy"))
    assert onset_of(watch, policy) == watch.findings["uneasy"]
    assert onset_of(watch, a_policy_of(Named("calm"))) is None


def test_healthy_takes_every_detector_and_silence_is_not_health() -> None:
    policy = a_policy_of(Named("one"), Named("other"))
    assert is_healthy(a_watch({"one": HEALTHY, "other": HEALTHY}), policy)
    assert not is_healthy(a_watch({"one": HEALTHY, "other": UNSURE}), policy)
    assert not is_healthy(a_watch({"one": HEALTHY}), policy)
    assert not is_healthy(Watch(GOOD.id), a_policy_of())


def test_a_rule_acts_unless_it_is_told_not_to() -> None:
    assert not Threshold().dry_run


def test_what_only_advises_has_no_say_and_is_heard_apart() -> None:
    advisor = Named("advisor", is_advisory=True)
    policy = a_policy_of(advisor, Named("one"), combine=Combination.ALL)
    watch = a_watch({"advisor": BREACHING, "one": HEALTHY})
    assert breach_of(watch, policy) is None
    assert is_healthy(watch, policy)
    assert advice_of(watch, policy) == watch.findings["advisor"]
    assert advice_of(a_watch({"advisor": HEALTHY, "one": BREACHING}), policy) is None
    assert advice_of(watch, a_policy_of(replace(advisor, dry_run=True))) is None
