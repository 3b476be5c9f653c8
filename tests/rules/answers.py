"""A pytest plugin that lets a test which asserts a default answer of the emulator see just that answer."""

import os
from collections.abc import Iterator

import pytest

from daemon.emulator.knobs import ENVIRONMENT_VARIABLE


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
