"""The judge can fail: an emulator that gives one wrong answer is found out by the real CLI."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.emulator.fault_specs import ContentTypeFault, JobFault, JobOutcome
from tests.conformance.recording import load_recording
from tests.conformance.stage import Stage, Truth, staged
from tests.requires import requires_vercel_cli

pytestmark = [requires_vercel_cli, pytest.mark.slow]


class WithoutField:
    """An app whose JSON answers below a path lack one field at the top."""

    def __init__(self, app: ASGIApp, *, path: str, field: str) -> None:
        self._app = app
        self._path = path
        self._field = field

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(self._path):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self._app(scope, receive, hold)
        start, content = held
        body: dict[str, Any] = json.loads(content["body"])
        assert self._field in body, f"the answer has no {self._field!r} to take away"
        del body[self._field]
        text = json.dumps(body).encode()
        others = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await send({**start, "headers": [*others, (b"content-length", str(len(text)).encode())]})
        await send({**content, "body": text})


async def test_a_content_type_on_the_empty_201_makes_the_cli_post_four_times_and_fail(
    stage: Stage, untouched: Truth
) -> None:
    stage.world.faults.set(ContentTypeFault())
    # As in the recording every POST is accepted: a job that moves nothing and ends at once stands in no other's way.
    stage.world.faults.set(JobFault(outcome=JobOutcome.SKIPPED, duration=0))
    recording = load_recording("rollback-by-url")
    run = await stage.vercel(*recording.arguments)
    assert load_recording("rollback-answer-mistyped").differences(run, stage.requests) == []
    assert [(entry.method, entry.status) for entry in stage.writes] == [("POST", 201)] * 4
    assert stage.truth().production == untouched.production
    found = recording.differences(run, stage.requests)
    assert "exit code 1, recorded 0" in found, "the conformance case would not notice"


@pytest.mark.parametrize(
    ("recording", "path", "field", "complaint"),
    [
        ("rollback-by-url", "/v13/deployments/", "team", "doesn't belong to current team"),
        ("promote-staged", "/v13/deployments/", "target", "This deployment is not a production deployment"),
        ("inspect", "/v13/deployments/", "readyState", "UNKNOWN"),
    ],
)
async def test_an_answer_that_lacks_a_field_is_found_out_and_nothing_is_written(
    tmp_path: Path, untouched: Truth, recording: str, path: str, field: str, complaint: str
) -> None:
    around = lambda app: WithoutField(app, path=path, field=field)  # noqa: E731 - it says what is done, and to what
    async with staged(tmp_path, around=around, changes_answers=True) as stage:
        run = await stage.vercel(*load_recording(recording).arguments)
        assert complaint in run.stderr
        assert stage.writes == []
        assert stage.truth() == untouched
        assert load_recording(recording).differences(run, stage.requests), "the conformance case would not notice"
