"""`lastgood check-config --history`: the thresholds against what the daemon remembers, or a word on why not."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from daemon.cli import app
from daemon.core.event import SamplesObserved
from daemon.core.facts import DeploymentId, ErrorRateSample, Instant, ProjectId
from daemon.engine.codec import encode_event
from daemon.ports.store import JournalEntry
from daemon.stores.sqlite import open_sqlite
from tests.builders import START

ENV = {"LASTGOOD_VERCEL__READ_TOKEN": "vcp_test"}
MINUTE = timedelta(minutes=1)
SHOP = "prj_shop"


def check(folder: Path, projects: str, *arguments: str) -> Result:
    config = folder / "lastgood.yaml"
    config.write_text(f"store: {{path: {folder}/lastgood.db}}\nprojects: [{projects}]\n", encoding="utf-8")
    return CliRunner().invoke(app, ["check-config", str(config), *arguments], env=ENV)


def remember(folder: Path, *, minutes: int, requests: int) -> None:
    """Let the store of a daemon remember so many minutes of the shop's traffic."""

    async def commit() -> None:
        store = await open_sqlite(folder / "lastgood.db")
        lease = await store.take_lease("test", now=START, ttl_seconds=60)
        spans = [(START + MINUTE * n, START + MINUTE * (n + 1)) for n in range(minutes)]
        samples = tuple(ErrorRateSample(DeploymentId("dpl_a"), *span, requests, 0) for span in spans)
        event = SamplesObserved(Instant(START, 0.0), "request_logs", samples, START)
        entry = JournalEntry(event.kind, encode_event(event), "", event.moment, None)
        await store.commit(
            ProjectId(SHOP),
            expected_version=0,
            lease=lease,
            entries=[entry],
            state="{}",
            commands=[],
            taken_requests=[],
            moment=event.moment,
        )
        await store.close()

    asyncio.run(commit())


@pytest.mark.slow
def test_what_the_store_remembers_is_held_against_the_thresholds(tmp_path: Path) -> None:
    remember(tmp_path, minutes=40, requests=3)
    projects = f"{{id: {SHOP}, detectors: [{{kind: threshold}}]}}, {{id: prj_new}}, {{name: blog}}, {{match: 'x*'}}"
    result = check(tmp_path, projects, "--history")
    warning, *notes = result.stderr.splitlines()
    assert "projects[0].detectors[0]: min_requests 20 was never met: the busiest of 40 windows" in warning
    assert notes == [
        "note: history of prj_new left out: the store remembers no counts",
        "note: history of blog left out: only an entry with an id can be found in the store",
        "note: history of x* left out: only an entry with an id can be found in the store",
    ]
    assert result.exit_code == 0
    assert result.stdout.startswith("ok: 3 projects, 1 pattern, 1 warning\n")
    assert check(tmp_path, projects).stderr == "", "it is only looked at where that is asked for"


@pytest.mark.slow
def test_without_a_store_that_can_be_read_it_says_so_and_holds_all_the_same(tmp_path: Path) -> None:
    result = check(tmp_path, f"{{id: {SHOP}}}", "--history")
    assert (result.exit_code, result.stderr) == (
        0,
        f"note: history left out: there is no store at {tmp_path}/lastgood.db\n",
    )
    (tmp_path / "lastgood.db").write_bytes(b"no database at all, and long enough to look like one " * 40)
    result = check(tmp_path, f"{{id: {SHOP}}}", "--history")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: history left out: ")
