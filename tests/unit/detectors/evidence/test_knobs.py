"""What an operator can set, and what is refused with both numbers."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.detectors.evidence.knobs import Design, Knobs, Sensitivity


def test_the_defaults_are_those_of_the_rule() -> None:
    assert Knobs().design == Design(0.02, 2.0, 1e-3, 90.0, 900.0, 5, 0, 0.80)


@pytest.mark.parametrize(("word", "level"), [("strict", 1e-4), ("balanced", 1e-3), ("fast", 1e-2)])
def test_sensitivity_is_a_chance_a_deployment(word: str, level: float) -> None:
    assert Knobs(sensitivity=Sensitivity(word)).design.level == level


def test_a_budget_is_shared_by_the_deployments_of_a_year() -> None:
    knobs = Knobs(allowed_false_rollbacks_per_year=1, deployments_per_year=1000)
    assert knobs.level == 1e-3
    assert knobs.design.evidence_min == pytest.approx(1000.0)
    assert knobs.design.alert_nats == pytest.approx(6.907755)


def test_sustain_can_be_learned() -> None:
    assert Knobs(sustain="auto").design.sustain is None
    assert Knobs(sustain=timedelta(seconds=30)).design.sustain == 30.0


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"allowed_false_rollbacks_per_year": 1}, "allowed_false_rollbacks_per_year 1.0 and deployments_per_year None"),
        ({"deployments_per_year": 10}, "allowed_false_rollbacks_per_year None and deployments_per_year 10"),
        (
            {"sensitivity": "fast", "allowed_false_rollbacks_per_year": 1, "deployments_per_year": 1000},
            "sensitivity fast and allowed_false_rollbacks_per_year 1.0 say the same thing",
        ),
        ({"allowed_false_rollbacks_per_year": 2, "deployments_per_year": 10}, "a chance of 0.2"),
        ({"allowed_false_rollbacks_per_year": 0.001, "deployments_per_year": 10_000_000}, "a chance of 1e-10"),
        ({"sustain": timedelta(hours=1, seconds=1)}, "sustain 1:00:01 must lie between"),
        ({"sustain": timedelta(seconds=-1)}, "must lie between 0s and 1h"),
        ({"sustain": "soon"}, "auto"),
        ({"severe_error_rate": 0.02}, "severe_error_rate 0.02 must be above max_error_rate 0.02"),
        ({"max_error_rate": 0.5}, "less than 0.5"),
        ({"min_lift": 0.9}, "greater than or equal to 1"),
        ({"no_such_knob": 1}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_both_numbers(facts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Knobs(**facts)


@pytest.mark.parametrize(
    "facts",
    [
        {"allowed_false_rollbacks_per_year": 1, "deployments_per_year": 10},
        {"sustain": timedelta(0)},
        {"sustain": timedelta(hours=1)},
        {"severe_error_rate": 0.021},
        {"min_requests": 0},
    ],
)
def test_what_lies_at_a_bound_is_taken(facts: dict[str, Any]) -> None:
    assert Knobs(**facts).design
