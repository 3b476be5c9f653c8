"""Fixtures of the emulator's tests."""

from collections.abc import AsyncIterator

import pytest

from daemon.emulator.knobs import ENVIRONMENT_VARIABLE
from tests.unit.emulator.driving import Driver, driving


@pytest.fixture
async def vercel() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


@pytest.fixture(autouse=True)
def _answers_named_by_the_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's own tests say which answers they mean, whichever ones the suite runs under."""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
