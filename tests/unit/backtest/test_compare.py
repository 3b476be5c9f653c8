"""Which rollbacks a new policy adds and takes away, and whose policy a project has."""

from datetime import timedelta

import pytest

from daemon.backtest.compare import Comparison, compare, is_chosen, policy_of
from daemon.backtest.history import ProjectHistory
from daemon.backtest.labels import Label
from daemon.core.facts import DeploymentId, ProjectId
from daemon.core.guardrail import Posture
from daemon.detectors.evidence.detector import Evidence
from daemon.detectors.threshold import Threshold
from daemon.settings import Settings
from tests.unit.backtest.histories import (
    BAD,
    FIX,
    GOOD,
    SERVED_BEFORE,
    a_bad_release,
    a_history,
    an_activation,
    at,
    counts,
)


def settings(max_error_rate: float = 0.05, project: str = "prj_shop", name: str | None = None) -> Settings:
    """Return a configuration of one project, in which two of three minutes must be as bad as that."""
    detector = {"kind": "threshold", "max_error_rate": max_error_rate, "breaches_min": 2, "windows": 3}
    written = {"id": project} | ({"name": name} if name else {})
    return Settings.model_validate({"defaults": {"detectors": [detector]}, "projects": [written]})


def compared(history: ProjectHistory, today: float = 0.05, new: float = 0.05) -> Comparison:
    return compare(history, today=settings(today), new=settings(new))


def suspects(comparison: Comparison) -> tuple[list[DeploymentId], list[DeploymentId], list[DeploymentId]]:
    return (
        [row.suspect for row in comparison.added],
        [row.suspect for row in comparison.removed],
        [new.suspect for _, new in comparison.kept],
    )


def three_releases() -> ProjectHistory:
    """Return a history of releases that fail for 30 %, 10 % and 6 %, an hour apart, each followed by good again."""
    activations, samples = [SERVED_BEFORE], counts(GOOD, range(10))
    for number, errors in enumerate((30, 10, 6)):
        bad, fix = (DeploymentId(f"dpl_{name}{number}") for name in ("bad", "fix"))
        live = 10 + 60 * number
        activations += [an_activation(bad, live), an_activation(fix, live + 20)]
        samples += counts(bad, range(live, live + 20), errors) + counts(fix, range(live + 20, live + 60))
    return a_history(samples, activations, until=at(200))


def test_the_same_policy_changes_nothing() -> None:
    assert suspects(compared(a_bad_release())) == ([], [], [BAD])


@pytest.mark.slow
def test_one_threshold_changes_exactly_the_rows_that_lie_between_the_old_and_the_new() -> None:
    history = three_releases()
    # 6 %, 10 % and 30 % fail: 5 % rolls all back, 8 % all but the first kind, 20 % only the last.
    assert suspects(compared(history, 0.05, 0.08)) == ([], ["dpl_bad2"], ["dpl_bad0", "dpl_bad1"])
    assert suspects(compared(history, 0.20, 0.08)) == (["dpl_bad1"], [], ["dpl_bad0"])
    assert suspects(compared(history, 0.50, 0.05)) == (["dpl_bad0", "dpl_bad1", "dpl_bad2"], [], [])
    assert suspects(compared(history, 0.10, 0.101)) == ([], ["dpl_bad1"], ["dpl_bad0"])


def test_a_kept_row_tells_both_moments() -> None:
    slower = {"kind": "threshold", "breaches_min": 4, "windows": 5}
    new = Settings.model_validate({"defaults": {"detectors": [slower]}, "projects": [{"id": "prj_shop"}]})
    [(today_row, new_row)] = compare(a_bad_release(), today=settings(), new=new).kept
    assert (today_row.at, new_row.at) == (at(33), at(35))


def test_a_project_has_its_own_policy_and_an_unknown_one_that_of_the_defaults() -> None:
    configured = Settings.model_validate(
        {
            "defaults": {"posture": "approve"},
            "projects": [{"id": "prj_shop", "detectors": [{"kind": "threshold", "max_error_rate": 0.5}]}],
        }
    )
    own, default = policy_of(configured, ProjectId("prj_shop")), policy_of(configured, ProjectId("p_0123456789ab"))
    assert own.detectors == (Threshold(max_error_rate=0.5),)
    assert (default.detectors, default.posture) == ((Evidence().within(timedelta(minutes=15)),), Posture.APPROVE)
    assert own.poll_gap_max == default.poll_gap_max
    assert compare(a_bad_release(), today=configured, new=configured).is_default is False
    elsewhere = settings(project="prj_blog")
    assert compare(a_bad_release(), today=configured, new=elsewhere).is_default is True


def test_a_project_is_called_by_its_name() -> None:
    named = settings(name="shop")
    assert compare(a_bad_release(), today=named, new=named).name == "shop"
    assert compared(a_bad_release()).name == "prj_shop"


def test_projects_are_chosen_by_id_or_name() -> None:
    named = settings(name="web-shop")
    shop, other = ProjectId("prj_shop"), ProjectId("prj_other")
    chosen = {pattern for pattern in ("*", "prj_shop", "web-*", "WEB-*", "web", "") if is_chosen(named, shop, pattern)}
    assert chosen == {"*", "prj_shop", "web-*"}
    assert [is_chosen(named, other, pattern) for pattern in ("prj_*", "web-*")] == [True, False]


def test_labels_are_compared_with_both() -> None:
    label = Label.model_validate(
        {"project": "prj_shop", "cause": "deployment", "deploymentId": BAD, "previousId": GOOD, "atMs": _ms(30)}
    )
    both = compare(a_bad_release(), today=settings(0.5), new=settings(), labels=[label])
    assert both.today_score is not None
    assert both.new_score is not None
    assert (len(both.today_score.missed), len(both.new_score.missed)) == (1, 0)
    assert compare(a_bad_release(), today=settings(), new=settings()).new_score is None
    assert FIX != BAD


def _ms(minutes: float) -> int:
    return int(at(minutes).timestamp() * 1000)
