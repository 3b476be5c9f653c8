"""The stage on which every conformance case plays: one emulated world, one real CLI."""

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

from daemon.emulator.knobs import ENVIRONMENT_VARIABLE
from tests.conformance.sdk_play import Play, played
from tests.conformance.stage import Stage, Truth, staged
from tests.conformance.touches import TOUCHES, settle, writer

_FAILED = pytest.StashKey[bool]()
_DOMAINS = ("web-acme.vercel.app", "www.example.com")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A world in real time, in which an alias job takes 0.6 s."""
    async with staged(tmp_path) as built:
        yield built


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    """A world that stands still, and the SDK."""
    async with played(tmp_path) as built:
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test failed: one that did has not touched all that it would."""
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(autouse=True)
def _touches_as_the_index_says(request: pytest.FixtureRequest) -> Generator[None, None, None]:
    """What clients were answered in a test is what docs/emulator.md calls proved by it."""
    TOUCHES.seen.clear()
    yield
    if request.node.stash.get(_FAILED, False):
        return
    found = settle(request.node.nodeid.rpartition("/")[2], write=writer())
    assert not found, "\n".join([*found, "If that is right, write the index anew: see tests/conformance/touches.py."])
