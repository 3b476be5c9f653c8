"""What really failed, since when and until when: what ended is ended, and what was over stays told."""

from typing import Any

import pytest

from daemon.emulator import ManualClock, World
from daemon.emulator.labels import labels
from daemon.emulator.project_specs import FailureSpec
from tests.unit.emulator.driving import a_scenario

MINUTE_MS = 60_000


class Story:
    """A world with a project `web` in which `good` serves, on a clock of the test."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.world = World(a_scenario(), self.clock)
        self.project = self.world.project("web")

    def after(self, minutes: float) -> int:
        """Let time pass, and return what it is then."""
        self.clock.advance(minutes * 60)
        self.world.advance()
        return self.world.now_ms

    def fails(self, ratio: float = 0.3, **facts: Any) -> None:
        """Let `good` fail from now on."""
        self.world.set_failures(self.world.deployment("web", "good"), (FailureSpec(ratio=ratio, **facts),))

    @property
    def told(self) -> list[tuple[Any, ...]]:
        return [(one["cause"], one["ratio"], one["atMs"], one["endMs"], one["endedBy"]) for one in self.labels]

    @property
    def labels(self) -> list[dict[str, Any]]:
        return list(labels(self.world)["labels"])


@pytest.mark.parametrize(("target", "ended_by"), [("v2", "rollback")])
def test_a_rollback_ends_what_the_deployment_before_did(target: str, ended_by: str) -> None:
    story = Story()
    began = story.after(1)
    story.fails()
    story.after(2)
    story.world.request_rollback(story.project, target, by="human")
    story.after(1)
    moved = next(move.at_ms for move in reversed(story.world.ledger.moves))
    assert story.told == [("deployment", 0.3, began, moved, ended_by)]


def test_what_still_fails_has_no_end() -> None:
    story = Story()
    began = story.after(1)
    story.fails()
    story.after(1)
    assert story.told == [("deployment", 0.3, began, None, None)]


def test_failures_that_are_replaced_or_healed_stay_told_with_their_end() -> None:
    story = Story()
    first = story.after(1)
    story.fails(0.3)
    second = story.after(1)
    story.fails(0.1)
    healed = story.after(1)
    story.world.set_failures(story.world.deployment("web", "good"), ())
    story.after(1)
    assert story.told == [
        ("deployment", 0.3, first, second, "itself"),
        ("deployment", 0.1, second, healed, "itself"),
    ]


def test_an_outage_that_somebody_ends_ends_then_and_one_that_was_over_keeps_its_own_end() -> None:
    story = Story()
    first = story.after(1)
    story.world.start_outage(story.project, FailureSpec.model_validate({"ratio": 0.4, "lasts": "2s"}))
    second = story.after(1)
    story.world.start_outage(story.project, FailureSpec.model_validate({"ratio": 0.2, "lasts": "30m"}))
    ended = story.after(1)
    story.world.end_outage(story.project)
    story.after(1)
    assert story.told == [
        ("upstream", 0.4, first, first + 2_000, "itself"),
        ("upstream", 0.2, second, ended, "itself"),
    ]


def test_a_deployment_that_comes_back_fails_again_and_each_time_is_told() -> None:
    story = Story()
    story.after(1)
    story.fails()
    story.after(1)
    story.world.request_rollback(story.project, "v2", by="human")
    story.after(1)
    story.world.request_promote(story.project, "good", by="human")
    story.after(1)
    assert [(one["endedBy"], one["previousId"]) for one in story.labels][1][0] is None
    assert len(story.labels) == 2
