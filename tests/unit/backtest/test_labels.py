"""What labels say of rollbacks: true, false, to the wrong target, missed."""

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.backtest.history import HistoryError, ProjectHistory
from daemon.backtest.labels import Label, Score, Truth, add_up, read_labels, score
from daemon.backtest.replay import replay
from tests.unit.backtest.histories import BAD, GOOD, OLD, POLICY, a_bad_release, at


def a_label(minutes: float = 30, **facts: Any) -> Label:
    """Return the label of bad, which failed from its activation until it was replaced; good is the way back."""
    values = {"project": "shop", "projectId": "prj_shop", "cause": "deployment", "deploymentId": BAD}
    return Label.model_validate(values | {"previousId": GOOD, "atMs": _ms(minutes), "endMs": _ms(60)} | facts)


def _ms(minutes: float) -> int:
    return int(at(minutes).timestamp() * 1000)


def scored(*labels: Label, history: ProjectHistory | None = None) -> Score:
    history = history or a_bad_release()
    return score(replay(history, POLICY).rows, labels, history)


def truths(of: Score) -> list[Truth]:
    return [truth for _, truth in of.truths]


def test_a_rollback_of_what_failed_to_what_was_good_is_true() -> None:
    result = scored(a_label())
    assert (truths(result), result.missed) == ([Truth.TRUE], ())
    assert result.median_seconds_to_act == 180


def test_a_rollback_to_another_target_is_told() -> None:
    assert truths(scored(a_label(previousId=OLD))) == [Truth.WRONG_TARGET]
    assert truths(scored(a_label(previousId=None))) == [Truth.TRUE]


@pytest.mark.parametrize(
    "label",
    [
        a_label(deploymentId=GOOD),
        a_label(cause="upstream", deploymentId=None),
        a_label(projectId="prj_blog", project="blog"),
        a_label(27.9, endMs=_ms(27.95)),
        a_label(32.1),
    ],
)
def test_a_rollback_of_anything_else_is_false(label: Label) -> None:
    result = scored(label)
    assert truths(result) == [Truth.FALSE]
    assert result.median_seconds_to_act is None


@pytest.mark.parametrize("label", [a_label(32), a_label(20, endMs=_ms(28)), a_label(endMs=None)])
def test_an_onset_may_lie_two_minutes_outside_of_its_label(label: Label) -> None:
    # The onset of bad is at minute 30.
    assert truths(scored(label)) == [Truth.TRUE]


def test_a_failure_without_a_rollback_was_missed() -> None:
    later = a_label(70, deploymentId="dpl_fix", endMs=None)
    assert scored(a_label(), later).missed == (later,)


@pytest.mark.parametrize(("minutes", "is_missed"), [(-1, False), (0, True), (119, True), (120, False)])
def test_only_failures_that_began_within_the_history_can_be_missed(minutes: float, is_missed: bool) -> None:
    assert bool(scored(a_label(minutes, deploymentId="dpl_other", endMs=None)).missed) is is_missed


def test_outages_are_never_missed() -> None:
    assert scored(a_label(), a_label(80, cause="upstream", deploymentId=None)).missed == ()


def test_scores_add_up() -> None:
    total = add_up([scored(a_label()), scored(a_label(deploymentId=GOOD)), scored()])
    assert [total.count(truth) for truth in (Truth.TRUE, Truth.WRONG_TARGET, Truth.FALSE)] == [1, 0, 2]
    assert (len(total.missed), total.median_seconds_to_act) == (1, 180)


def test_alerts_are_no_rollbacks() -> None:
    history = a_bad_release()
    alone = [row for row in replay(history, POLICY).rows if row.outcome != "rollback"]
    assert truths(score(alone, [a_label()], history)) == []


def test_a_file_is_read_as_the_emulator_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    written = {**a_label().model_dump(by_alias=True), "shape": "jump", "ratio": 0.3, "endedBy": None}
    path.write_text(json.dumps({"scenario": "fleet", "startMs": 0, "labels": [written]}))
    assert read_labels(path) == (a_label(),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Invalid JSON"),
        ("[]", "not labels"),
        ('{"labels": [{"project": "shop", "cause": "deployment"}]}', "labels.0.atMs: Field required"),
        ('{"labels": [{"project": "shop", "cause": "ghosts", "atMs": 1}]}', "labels.0.cause"),
    ],
)
def test_what_holds_no_labels_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(HistoryError, match=told):
        read_labels(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"cannot read .*No such file"):
        read_labels(tmp_path / "none.json")
