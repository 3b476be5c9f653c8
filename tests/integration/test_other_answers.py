"""The daemon under both answers to everything that nobody outside Vercel knows: each alone, some pairs, all at once.

The answers are the emulator's knobs. What must happen whatever they are is judged by the emulator's own ledger.
"""

import os
import subprocess
import sys
import tempfile
from typing import Literal, get_args, get_origin

import pytest

from daemon.emulator import ManualClock, World
from daemon.emulator.knobs import ENVIRONMENT_VARIABLE, OTHER_ANSWERS, Knobs, environment_answers
from daemon.emulator.scenario_files import load_scenario
from tests.house.tree import TREE
from tests.integration.stories import STORIES
from tests.integration.unknowns import DEFAULTS, Answers, Story, outcome_of

SUITE_SECONDS_MAX = 1500.0
"""The run takes a sixth of this; one that hangs should say so before `make proof` runs out of its budget."""
_OUTPUT_CHARACTERS = 30_000

WITHOUT_INFLUENCE = {
    "rollback_to_unpromoted": "it asks for nothing but what Vercel lists as a rollback candidate",
    "refusal_codes": "it judges by the status",
    "payment_code": "it judges by the status",
    "bypass_delay_seconds": "it opens no protected site",
    "alias_rows": "it reads both forms",
    "alias_request": "it always asks with the flag, and ignores what it did not ask for",
    "rate_limit_headers": "it waits as Retry-After says, and reads no other header of the limit",
    "metrics_retention": "it never asks for counts older than an hour",
    "undocumented_routes": "it uses neither",
    "drain_batch_entries": "it has no drain",
    "drain_retries": "it has no drain",
    "drain_verification": "it has no drain",
    "errored_drain": "it has no drain",
    "alerts_payload": "it has no webhook",
}
"""Knobs whose other answers tell the daemon nothing new in any story, and why: what changes that strikes the line."""

CASES = [(story, answers) for story in STORIES for answers in story.cases()]


def _name(story: Story, answers: Answers) -> str:
    said = ", ".join(f"{name}={answer}" for name, answer in answers.items())
    return f"{story.name}: {'every other answer' if answers == OTHER_ANSWERS else said or 'default answers'}"


# The whole suite


@pytest.mark.proof
def test_the_whole_suite_passes_under_every_other_answer() -> None:
    # Long tests are left out as in `make test`, or this one would begin itself again.
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "not proof", "-p", "no:cacheprovider"]
    # What this run of pytest tells its own workers is none of the other run's business.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment[ENVIRONMENT_VARIABLE] = "other"
    with tempfile.TemporaryDirectory(prefix="lastgood-other-") as scratch:
        try:
            ran = subprocess.run(
                [*command, f"--basetemp={scratch}/tests"],
                check=False,
                cwd=TREE,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=SUITE_SECONDS_MAX,
            )
        except subprocess.TimeoutExpired as error:
            printed = (error.stdout or b"").decode("utf-8", "replace")
            pytest.fail(f"no end after {SUITE_SECONDS_MAX:g} s:\n{printed[-_OUTPUT_CHARACTERS:]}", pytrace=False)
    printed = ran.stdout.decode("utf-8", "replace")
    if ran.returncode != 0:
        by_hand = f'{ENVIRONMENT_VARIABLE}=other pytest -m "not proof"'
        sentence = f"red under other answers (pytest exit {ran.returncode}); by hand: {by_hand}"
        pytest.fail(f"{sentence}\n{printed[-_OUTPUT_CHARACTERS:]}", pytrace=False)
    assert f"emulator: {len(DEFAULTS)} of {len(DEFAULTS)} unknowns answered otherwise" in printed


def test_a_world_takes_its_answers_from_the_environment() -> None:
    world = World(load_scenario("bad-deployment"), ManualClock())
    assert world.knobs.model_dump() == {**DEFAULTS, **environment_answers(os.environ)}


@pytest.mark.default_answers
def test_a_test_that_asserts_default_answers_sees_them_under_any_other() -> None:
    assert Knobs().model_dump() == DEFAULTS


# The matrix


@pytest.mark.proof
@pytest.mark.parametrize(("story", "answers"), CASES, ids=[_name(*case) for case in CASES])
def test_every_story_ends_as_it_should_and_no_promise_is_broken(story: Story, answers: Answers) -> None:
    outcome = outcome_of(story, answers)
    assert outcome.knobs == {**DEFAULTS, **answers}
    assert outcome.broken_promises == ()
    assert outcome.ending == story.expected(answers), outcome.tale


@pytest.mark.proof
@pytest.mark.parametrize("name", list(Knobs.model_fields))
def test_a_knob_tells_the_daemon_something_else_unless_it_is_known_not_to(name: str) -> None:
    differing = [
        _name(story, answers)
        for story, answers in CASES
        if set(answers) == {name} and outcome_of(story, answers).journal != outcome_of(story, {}).journal
    ]
    assert (differing == []) is (name in WITHOUT_INFLUENCE), differing


@pytest.mark.parametrize("name", list(Knobs.model_fields))
def test_every_knob_is_in_the_matrix_with_each_of_its_answers(name: str) -> None:
    annotation = Knobs.model_fields[name].annotation
    closed = get_args(annotation) if get_origin(annotation) is Literal else ()
    main_stories = [story for story in STORIES if story.knobs is None]
    assert len(main_stories) >= 4
    for story in main_stories:
        played = {answers[name] for one, answers in CASES if one is story and set(answers) == {name}}
        assert played >= {OTHER_ANSWERS[name], *closed} - {DEFAULTS[name]}
        assert DEFAULTS[name] not in played
        assert (story, OTHER_ANSWERS) in CASES


def test_the_matrix_holds_no_line_that_nothing_reaches() -> None:
    for story in STORIES:
        reached = [story.expected(answers) for answers in story.cases()]
        assert [some for some, ending in story.otherwise if all(one is not ending for one in reached)] == [], story.name
    assert set(WITHOUT_INFLUENCE) <= set(Knobs.model_fields)
