"""A changed configuration file is put in force as a whole or not at all, and log and metrics say which."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from daemon.bootstrap.fleet import Unresolved
from daemon.bootstrap.reload import LOOK_EVERY_SECONDS, ConfigFile, Reloader
from daemon.core.guardrail import Posture
from daemon.ports.errors import Misconfigured, PortError, Unavailable
from daemon.settings import Settings, load
from daemon.telemetry.metrics import Metrics
from tests.fakes.clock import VirtualClock

ENV = {"LASTGOOD_VERCEL__READ_TOKEN": "vcp_NeverRepeatMeAnywhere0123456789"}
SHOP = "projects: [{name: shop}]\n"
APPROVE = "projects: [{name: shop, posture: approve}]\n"


class House:
    """A reloader of one file, and what it put in force."""

    def __init__(self, folder: Path, text: str = SHOP) -> None:
        self.path = folder / "lastgood.yaml"
        self.path.write_text(text, encoding="utf-8")
        self.clock, self.metrics = VirtualClock(), Metrics(CollectorRegistry(), version="0")
        self.trouble: PortError | None = None
        self.in_force: list[tuple[int, Settings]] = []
        file = ConfigFile(self.path, ENV, load(self.path, ENV))
        self.metrics.tell_config(1, file.loaded.digest, at=self.clock.now())
        self.reloader = Reloader(file, prepare=self._prepare, clock=self.clock, metrics=self.metrics)
        self.lines: list[dict[str, object]] = []

    async def _prepare(self, settings: Settings) -> Callable[[int], None]:
        if self.trouble:
            raise Unresolved(0, self.trouble)
        return lambda generation: self.in_force.append((generation, settings))

    def write(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")

    async def look(self, times: int = 2) -> None:
        with capture_logs() as lines:
            for _ in range(times):
                await self.clock.advance(LOOK_EVERY_SECONDS)
                await self.reloader.look()
        self.lines = [{**line} for line in lines]

    @property
    def told(self) -> list[object]:
        return [line["event"] for line in self.lines]

    @property
    def problems(self) -> list[str]:
        [line] = [line for line in self.lines if line["event"] == "config.rejected"]
        found = line["problems"]
        assert isinstance(found, list)
        return [str(one).removeprefix(f"{self.path}:").strip() for one in found]

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"lastgood_config_{name}", labels)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_file_that_stays_as_it_is_changes_and_tells_nothing(house: House) -> None:
    await house.look(5)
    os.utime(house.path)
    await house.look(5)
    assert (house.in_force, house.told, house.value("reload_success")) == ([], [], 1)


async def test_a_changed_file_is_in_force_once_as_the_next_generation(house: House) -> None:
    began = house.value("reload_timestamp_seconds")
    assert began is not None
    house.write(APPROVE)
    await house.look(5)
    [(generation, settings)] = house.in_force
    assert (generation, settings.projects[0].posture) == (2, Posture.APPROVE)
    assert (house.reloader.generation, house.reloader.settings) == (2, settings)
    [line] = house.lines
    assert (line["event"], line["generation"], line["projects"]) == ("config.reloaded", 2, 1)
    digest = str(line["digest"])
    assert (house.value("generation"), house.value("info", hash=digest), house.value("reload_success")) == (2, 1, 1)
    assert house.value("reload_timestamp_seconds") == began + 2


async def test_a_file_that_is_still_being_written_is_not_tried(house: House) -> None:
    house.write("projects: [{name: blog}]\n")
    await house.look(1)
    house.write("projects: [{name: blog}, {name: shop}]\n")
    await house.look(1)
    assert house.in_force == []
    await house.look(1)
    assert [len(settings.projects) for _, settings in house.in_force] == [2]


async def test_a_refused_file_changes_nothing_and_is_told_once_with_its_places(house: House) -> None:
    before = house.reloader.settings
    house.write("polling: {}\nprojects: [{name: shop, posture: of course}]\n")
    await house.look(5)
    assert (house.in_force, house.reloader.generation, house.reloader.settings) == ([], 1, before)
    assert house.told == ["config.rejected"]
    assert [one.partition(" ")[0] for one in house.problems] == ["1:1:", "2:34:"]
    assert (house.value("reload_success"), house.value("generation")) == (0, 1)


async def test_what_was_mended_is_in_force_and_what_was_put_back_is_told(house: House) -> None:
    house.write("nonsense")
    await house.look()
    house.write(SHOP)
    await house.look()
    assert (house.told, house.in_force, house.value("reload_success")) == (["config.unchanged"], [], 1)
    house.write("nonsense")
    await house.look()
    house.write(APPROVE)
    await house.look()
    assert (house.told, house.value("reload_success"), house.reloader.generation) == (["config.reloaded"], 1, 2)


async def test_a_file_that_is_gone_is_refused_and_its_return_is_told(house: House) -> None:
    house.path.unlink()
    await house.look(5)
    assert house.told == ["config.rejected"]
    assert "cannot be read" in house.problems[0]
    house.write(SHOP)
    await house.look()
    assert (house.told, house.value("reload_success")) == (["config.unchanged"], 1)


async def test_a_file_that_is_replaced_at_a_stroke_is_seen(house: House) -> None:
    new = house.path.with_suffix(".new")
    new.write_text(APPROVE, encoding="utf-8")
    new.rename(house.path)
    await house.look()
    assert house.told == ["config.reloaded"]


async def test_a_link_that_is_swapped_as_kubernetes_does_is_seen(tmp_path: Path) -> None:
    for name, text in (("one", SHOP), ("two", APPROVE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lastgood.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "house").mkdir()
    house = House(tmp_path / "house")
    house.path.unlink()
    data = tmp_path / "..data"
    data.symlink_to(tmp_path / "one")
    house.path.symlink_to(data / "lastgood.yaml")
    await house.look()
    assert house.in_force == []
    (tmp_path / "..new").symlink_to(tmp_path / "two")
    (tmp_path / "..new").rename(data)
    await house.look()
    assert [settings.projects[0].posture for _, settings in house.in_force] == [Posture.APPROVE]


async def test_asked_for_it_is_tried_at_the_next_look_and_told_even_when_nothing_changed(house: House) -> None:
    house.reloader.ask()
    await house.look(3)
    assert (house.told, house.in_force) == (["config.unchanged"], [])
    house.write(APPROVE)
    house.reloader.ask()
    await house.look(1)
    assert house.told == ["config.reloaded"]
    house.write("nonsense")
    for _ in range(2):
        house.reloader.ask()
        await house.look(1)
        assert house.told == ["config.rejected"]


async def test_what_only_a_restart_can_change_refuses_the_whole_file(house: House) -> None:
    house.write("web: {port: 1}\nstore: {path: /elsewhere.db}\n" + APPROVE)
    await house.look()
    assert house.in_force == []
    assert house.problems == [
        "1:13: web.port: restart to change web.port; until then write what was there",
        "2:15: store.path: restart to change store.path; until then write what was there",
    ]


async def test_a_token_that_cannot_be_read_now_keeps_no_policy_out(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("vcp_x", encoding="utf-8")
    token.chmod(0o600)
    vercel = f"vercel: {{act_token_file: {token}}}\n"
    house = House(tmp_path, vercel + SHOP)
    token.unlink()
    house.write(vercel + APPROVE)
    await house.look()
    assert house.told == ["config.reloaded"]


async def test_what_vercel_does_not_know_is_refused_without_its_name_and_tried_again(house: House) -> None:
    house.trouble = Unavailable("project vcp_NeverRepeatMe: no answer")
    house.write("projects: [{name: vcp_NeverRepeatMe}]\n")
    await house.look(20)
    assert house.told == ["config.rejected"]
    expected = "was not found at Vercel (unreachable); correct the name, or write the id; tried again soon"
    assert house.problems == [f"1:19: projects[0].name: {expected}"]
    house.trouble = None
    await house.look(20)
    assert (house.told, house.reloader.generation) == (["config.reloaded"], 2)


async def test_a_project_that_is_there_twice_is_refused_at_its_place(house: House) -> None:
    house.trouble = Misconfigured("both are prj_1")
    house.write("projects: [{id: prj_1}]\n")
    await house.look()
    expected = "is a project that is here already, under its name or its id; remove one of the two"
    assert house.problems == [f"1:12: projects[0]: {expected}"]


async def test_the_warnings_of_what_is_in_force_are_told_with_it(house: House) -> None:
    house.write("profiles: {idle: {posture: approve}}\n" + SHOP)
    await house.look()
    [line] = house.lines
    assert [str(one).partition("profiles.idle: ")[2] for one in line["warnings"]] == [  # type: ignore[attr-defined]
        "no project names this profile, so that it changes nothing"
    ]


async def test_after_a_bug_the_metric_says_that_the_file_is_not_in_force(house: House) -> None:
    await house.reloader.note_bug(ZeroDivisionError())
    assert house.value("reload_success") == 0
