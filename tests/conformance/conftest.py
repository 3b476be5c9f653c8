"""The stage on which every conformance case plays: one emulated world, one real CLI."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.emulator.knobs import ENVIRONMENT_VARIABLE
from tests.conformance.stage import Stage, Truth, staged

_DOMAINS = ("web-acme.vercel.app", "www.example.com")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A world in real time, in which an alias job takes 0.6 s."""
    async with staged(tmp_path) as built:
        yield built


@pytest.fixture
def untouched() -> Truth:
    """What is true of the world before anybody touched it."""
    served = {f"v{number}": "PROMOTED" for number in range(1, 8)}
    return Truth(
        production="v7",
        domains=dict.fromkeys(_DOMAINS, "v7"),
        substates={**served, "v8": "STAGED"},
        auto_assigns=True,
        job=None,
    )


@pytest.fixture(autouse=True)
def _answers_named_by_the_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recordings show the default answers, whichever ones the suite runs under."""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
