"""A pytest plugin for runs under other answers of the emulator (LASTGOOD_EMULATOR_KNOBS).

A test which asserts a default answer, and is marked `default_answers`, sees just that one.
"""

import os
from collections.abc import Iterator

import pytest

from daemon.emulator.knobs import ENVIRONMENT_VARIABLE, Knobs


def answered_otherwise() -> list[str]:
    """Return the names of the knobs whose default answer the environment changes. Raises ValueError."""
    answers = Knobs().model_dump()
    return [name for name, knob in Knobs.model_fields.items() if answers[name] != knob.default]


def pytest_configure() -> None:
    """Refuse answers that no knob can give, before a thousand tests do."""
    try:
        answered_otherwise()
    except ValueError as error:
        given = os.environ.get(ENVIRONMENT_VARIABLE)
        raise pytest.UsageError(f"{ENVIRONMENT_VARIABLE}={given} gives no answers to run under: {error}") from error


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many answers were other ones, where any was: such a run should not pass for a usual one."""
    if changed := answered_otherwise():
        unknowns = f"{len(changed)} of {len(Knobs.model_fields)} unknowns answered otherwise"
        terminalreporter.line(f"emulator: {unknowns} ({ENVIRONMENT_VARIABLE}={os.environ[ENVIRONMENT_VARIABLE]})")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Hide the answers of the environment from tests marked `default_answers`."""
    asserts_defaults = item.get_closest_marker("default_answers") is not None
    hidden = os.environ.pop(ENVIRONMENT_VARIABLE, None) if asserts_defaults else None
    try:
        return (yield)
    finally:
        if hidden is not None:
            os.environ[ENVIRONMENT_VARIABLE] = hidden
