"""Fixtures of the emulator's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.emulator.driving import Driver, driving


@pytest.fixture
async def vercel() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver
