"""`lastgood run` as a process of its own: a changed configuration file is in force, or told and left out."""

import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.integration.process import Running, a_free_port, documented_events, emulated, running, write_config

pytestmark = pytest.mark.slow


def edit(config: Path, before: str, after: str) -> None:
    """Replace the file at a stroke, as editors and ConfigMaps do."""
    text = config.read_text(encoding="utf-8")
    assert before in text
    new = config.with_suffix(".new")
    new.write_text(text.replace(before, after), encoding="utf-8")
    new.rename(config)


async def scraped(daemon: Running, name: str) -> float | None:
    """Return the value of an unlabelled series; None when it is not there."""
    async with httpx.AsyncClient(trust_env=False) as http:
        page = (await http.get(f"{daemon.url}/metrics")).text
    found = re.search(rf"^lastgood_{name} (\S+)$", page, flags=re.MULTILINE)
    return float(found[1]) if found else None


async def test_an_edited_file_is_in_force_a_broken_one_is_not_and_sighup_reads_it_again(tmp_path: Path) -> None:
    port = a_free_port()
    async with emulated() as emulator:
        config = write_config(tmp_path, emulator, port=port)
        [project] = emulator.world.projects
        async with running(config, port=port) as daemon:
            await daemon.wait_until(lambda: bool(daemon.logged("cycle.completed")))
            [first] = daemon.logged("policy.loaded")
            assert (await scraped(daemon, "config_generation"), first["posture"]) == (1, "observe")

            edit(config, f"{{id: {project}}}", f"{{id: {project}, posture: approve}}")
            await daemon.wait_until(lambda: bool(daemon.logged("config.reloaded")))
            second = daemon.logged("policy.loaded")[1]
            assert (await scraped(daemon, "config_generation"), second["posture"]) == (2, "approve")
            is_decided = lambda: any(line["digest"] == second["digest"] for line in daemon.logged("cycle.completed"))  # noqa: E731
            await daemon.wait_until(is_decided)
            assert daemon.logged("cycle.completed")[-1]["generation"] == 2

            edit(config, "posture: approve", "posture: automatik")
            await daemon.wait_until(lambda: bool(daemon.logged("config.rejected")))
            assert "did you mean automatic?" in daemon.logged("config.rejected")[0]["problems"][0]
            assert await scraped(daemon, "config_reload_success") == 0
            assert await scraped(daemon, "config_generation") == 2
            polled = len(daemon.logged("cycle.completed"))
            await daemon.wait_until(lambda: len(daemon.logged("cycle.completed")) > polled)
            last = daemon.logged("cycle.completed")[-1]
            assert (last["digest"], last["generation"]) == (second["digest"], 2), "the one before stays in force"

            edit(config, "posture: automatik", "posture: automatic")
            os.kill(daemon.process.pid, signal.SIGHUP)
            await daemon.wait_until(lambda: len(daemon.logged("config.reloaded")) == 2)
            assert await scraped(daemon, "config_reload_success") == 1
            os.kill(daemon.process.pid, signal.SIGHUP)
            await daemon.wait_until(lambda: bool(daemon.logged("config.unchanged")))
            assert await scraped(daemon, "config_generation") == 3

            assert await daemon.stop() == 0
            assert daemon.trouble == []
            assert {line["event"] for line in daemon.lines} - documented_events() == set()
            assert "tok_emulator_read" not in str(daemon.lines)
