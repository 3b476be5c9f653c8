"""Every recording that says by itself what is given: the real client does today what it did when it was recorded."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.given import Retouched, arrange
from tests.conformance.recording import RECORDINGS, load_recording
from tests.conformance.stage import staged
from tests.requires import requires_vercel_clients

WAITING = frozenset({"list-production-waits", "rollback-status-after-503"})
"""The client waits for up to half a minute in them, by chance."""


def declarative() -> list[str]:
    """Return the names of the recordings that say what is given."""
    names = sorted(file.stem for file in RECORDINGS.glob("*.yaml") if file.name != "world.yaml")
    return [name for name in names if load_recording(name).given is not None]


async def reproduce(name: str, home: Path) -> None:
    """Run the client of a recording in a world as it was given; an AssertionError tells every difference."""
    recording = load_recording(name)
    given = recording.given or {}
    retouch = {key: given.get(key, {}) for key in ("kept", "rewritten")}
    is_retouched = any(retouch.values())
    around = (lambda app: Retouched(app, **retouch)) if is_retouched else (lambda app: app)
    plan = given.get("plan", "pro")
    async with staged(home, plan=plan, around=around, changes_answers=is_retouched) as stage:
        stage.world.knobs = stage.world.knobs.model_copy(update=given.get("knobs", {}))
        arrange(stage, given)
        cli = replace(stage.cli, version=recording.version, more_environment=recording.environment)
        if recording.until is None:
            run = await cli.run(*recording.arguments)
        else:
            run = await cli.run_until(recording.until, *recording.arguments)
        found = recording.differences(run, stage.requests)
        assert not found, "\n".join([f"`vercel {' '.join(run.arguments)}` differs from {name}.yaml:", *found])


@requires_vercel_clients
@pytest.mark.proof
@pytest.mark.parametrize("name", [name for name in declarative() if name not in WAITING])
async def test_a_client_does_what_it_did_when_it_was_recorded(name: str, tmp_path: Path) -> None:
    await reproduce(name, tmp_path)


@requires_vercel_clients
@pytest.mark.proof
@pytest.mark.parametrize("name", sorted(WAITING))
async def test_a_client_that_waits_does_what_it_did_when_it_was_recorded(name: str, tmp_path: Path) -> None:
    await reproduce(name, tmp_path)
