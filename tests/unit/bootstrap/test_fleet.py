"""The fleet follows the configuration: who is new, who goes and when, and that nobody forgets what was under way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.bootstrap import fleet as fleet_module
from daemon.bootstrap.fleet import REMOVED, Fleet, Unresolved
from daemon.core.event import OperatorVerb
from daemon.core.facts import ProjectId
from daemon.core.guardrail import Posture, Reason
from daemon.core.incident import State
from daemon.engine.discovery import LISTINGS_MISSED_MAX
from daemon.engine.intake import Ask
from daemon.engine.project import Project
from daemon.ports.errors import Misconfigured, PortError, Refused, Unavailable
from daemon.ports.source import Source
from daemon.settings import Settings
from daemon.sources import SourceSettings
from daemon.sources.exclusions import Exclusions
from tests.builders import GOOD, PROJECT, a_policy
from tests.fakes.daemon import FakeDaemon, World, a_daemon
from tests.fakes.source import FakeSource

OTHER = ProjectId("prj_other")
# As a_policy() has it.
DETECTORS = [{"kind": "threshold", "window": "PT1M", "windows": 3, "breaches_min": 2}]


class House:
    """A fleet over a daemon of fakes, and the names that Vercel knows."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.daemon, self.names, self.asked = daemon, {"shop": PROJECT, "other": OTHER}, 0
        self.built: list[SourceSettings] = []
        self.excluded: list[tuple[str, ...]] = []
        self.told: list[list[ProjectId]] = []
        self.listing: dict[ProjectId, str] | PortError = {}
        world = daemon.world
        make = partial(
            Project,
            store=world.store,
            executor=daemon.executor,
            leadership=daemon.leadership,
            moments=daemon.moments,
            supervisor=daemon.supervisor,
            metrics=daemon.metrics,
        )
        self.fleet = Fleet(
            make=make, build=self._build, hosting=self, tell=self._tell, clock=world.clock, metrics=daemon.metrics
        )

    def _build(self, settings: SourceSettings, exclusions: Exclusions) -> Source:
        self.built.append(settings)
        self.excluded.append(exclusions.routes)
        world = self.daemon.world
        return FakeSource(world.hosting, world.source.ratios, name=settings.kind)

    async def resolve_project(self, name: str) -> ProjectId:
        self.asked += 1
        if name not in self.names:
            raise Refused(f"project {name}: not found", status=404)
        return self.names[name]

    async def list_projects(self) -> dict[ProjectId, str]:
        if isinstance(self.listing, PortError):
            raise self.listing
        return self.listing

    async def discover(self) -> list[dict[str, Any]]:
        """List the team's projects, and return what was logged."""
        with capture_logs() as lines:
            await self.fleet.discover()
        return [{**line} for line in lines]

    def value(self, name: str) -> float | None:
        return self.daemon.value(f"lastgood_{name}")

    def _tell(self, projects: Any, sources: Any) -> None:
        self.told.append([one.id for one in projects])
        self.daemon.poller.watch(projects, sources)

    async def configure(self, *projects: dict[str, Any], **sections: Any) -> list[dict[str, Any]]:
        """Put such a configuration in force, and return what was logged."""
        written = {"defaults": {"posture": "automatic", "detectors": DETECTORS}, "projects": projects} | sections
        with capture_logs() as lines:
            (await self.fleet.prepare(Settings.model_validate(written)))()
        return [{**line} for line in lines]

    @property
    def ids(self) -> list[ProjectId]:
        return [one.id for one in self.fleet.projects]

    def project(self, project: ProjectId = PROJECT) -> Project:
        return next(one for one in self.fleet.projects if one.id == project)

    async def breach(self) -> None:
        """Let the bad release go live, and poll until its rollback is under way or held."""
        [known] = [one for one in self.fleet.projects if one.id == PROJECT]
        self.daemon.projects = [known]
        await self.daemon.breach()


@asynccontextmanager
async def a_house() -> AsyncIterator[House]:
    async with a_daemon(World(), a_policy(), projects=()) as daemon:
        yield House(daemon)


SHOP, BLOG = {"id": PROJECT}, {"id": OTHER}


async def test_projects_are_taken_in_and_let_go_and_the_poller_is_told() -> None:
    async with a_house() as house:
        lines = await house.configure(SHOP)
        assert [(line["event"], line["project"]) for line in lines] == [("policy.loaded", PROJECT)]
        await house.daemon.poll()
        lines = await house.configure(BLOG)
        assert [line["event"] for line in lines] == ["policy.loaded", "project.gone"]
        assert house.told == [[PROJECT], [OTHER]]
        await house.daemon.poll()
        assert [one.id for one in house.daemon.poller.projects] == [OTHER]
        assert house.daemon.value("lastgood_frozen", project=PROJECT) is None
        assert house.daemon.value("lastgood_frozen", project=OTHER) == 0


async def test_what_stays_as_it_was_is_not_told_and_keeps_its_sources() -> None:
    async with a_house() as house:
        await house.configure(SHOP, BLOG)
        shop = house.project()
        lines = await house.configure(SHOP, BLOG | {"posture": "approve"})
        assert [(line["event"], line["project"], line["posture"]) for line in lines] == [
            ("policy.loaded", OTHER, Posture.APPROVE)
        ]
        assert (len(house.told), len(house.built), house.project() is shop) == (1, 1, True)
        assert house.project(OTHER).policy().posture is Posture.APPROVE


async def test_projects_with_the_same_settings_share_a_source_and_changed_ones_are_built_anew() -> None:
    async with a_house() as house:
        sources = [{"kind": "observability"}, {"kind": "request_logs"}]
        await house.configure(SHOP, BLOG, defaults={"sources": sources})
        assert sorted(one.kind for one in house.built) == ["observability", "request_logs"]
        await house.configure(SHOP, BLOG | {"sources": sources[1:]}, defaults={"sources": sources})
        assert (len(house.built), len(house.told)) == (2, 2)


async def test_a_name_is_asked_for_once_and_one_that_nobody_knows_changes_nothing() -> None:
    async with a_house() as house:
        for _ in range(2):
            await house.configure({"name": "shop"}, BLOG)
        assert (house.ids, house.asked) == ([PROJECT, OTHER], 1)
        with pytest.raises(Unresolved) as trouble:
            await house.configure(BLOG, {"name": "nowhere"})
        assert (trouble.value.index, house.ids) == (1, [PROJECT, OTHER])


async def test_a_project_by_its_id_and_by_its_name_is_refused() -> None:
    async with a_house() as house:
        with pytest.raises(Unresolved) as trouble:
            await house.configure({"name": "shop"}, SHOP)
        assert trouble.value.index == 1
        assert isinstance(trouble.value.error, Misconfigured)


@pytest.mark.slow
async def test_a_project_that_is_removed_with_a_rollback_under_way_is_watched_to_its_end() -> None:
    async with a_house() as house:
        await house.configure(SHOP)
        await house.breach()
        assert house.daemon.incident.state is State.MITIGATING
        lines = await house.configure(BLOG)
        assert [line["event"] for line in lines] == ["policy.loaded", "project.kept"]
        policy = house.project().policy()
        assert (house.ids, policy.posture, policy.digest) == ([OTHER, PROJECT], Posture.OBSERVE, REMOVED)
        assert not [line for line in await house.configure(BLOG) if line["event"] == "project.kept"], "told once"
        await house.daemon.live(300)
        assert house.daemon.incident.state is State.RESOLVED
        assert len(house.daemon.world.hosting.sent) == 1
        with capture_logs() as lines:
            house.fleet.tidy()
        assert ([line["event"] for line in lines], house.ids) == (["project.gone"], [OTHER])


async def test_a_project_that_is_removed_while_held_back_is_never_acted_on() -> None:
    async with a_house() as house:
        await house.configure(SHOP | {"posture": "observe"})
        await house.breach()
        await house.configure(BLOG)
        await house.daemon.live(60)
        assert house.daemon.incident.reason is Reason.POSTURE_OBSERVE
        house.fleet.tidy()
        assert (house.ids, house.daemon.world.hosting.sent) == ([OTHER, PROJECT], [])


@pytest.mark.slow
async def test_an_escalated_incident_keeps_its_project_until_somebody_takes_it() -> None:
    async with a_house() as house:
        await house.configure(SHOP)
        house.daemon.world.hosting.targets = ()
        await house.breach()
        await house.daemon.live(60)
        assert house.daemon.state.unacknowledged
        await house.configure(BLOG)
        await house.daemon.world.ask(Ask(OperatorVerb.ACKNOWLEDGE), project=PROJECT)
        assert house.ids == [OTHER, PROJECT]
        await house.daemon.live(60)
        house.fleet.tidy()
        assert house.ids == [OTHER]


async def test_of_what_was_never_read_nobody_knows_whether_it_may_go() -> None:
    async with a_house() as house:
        await house.configure(SHOP)
        await house.configure(BLOG)
        assert house.ids == [OTHER, PROJECT]
        await house.daemon.poll()
        house.fleet.tidy()
        assert house.ids == [OTHER]


async def test_what_comes_back_is_the_same_project_resumed_and_still_frozen() -> None:
    async with a_house() as house:
        await house.configure(SHOP)
        await house.daemon.poll()
        shop = house.project()
        await shop.freeze(ZeroDivisionError("a bug"))
        await house.configure(BLOG)
        assert (house.ids, shop.needs_resume) == ([OTHER], False)
        await house.configure(SHOP)
        assert (house.project() is shop, shop.needs_resume, shop.is_frozen) == (True, True, True)
        assert house.daemon.value("lastgood_frozen", project=PROJECT) == 1


@pytest.mark.slow
async def test_what_comes_back_while_it_is_still_watched_follows_its_policy_again() -> None:
    async with a_house() as house:
        await house.configure(SHOP | {"posture": "observe"})
        await house.breach()
        await house.configure(BLOG)
        await house.configure(SHOP)
        # The other one was never read, so that nobody knows whether it may go.
        assert (house.ids, house.project().policy().posture) == ([PROJECT, OTHER], Posture.AUTOMATIC)
        assert not house.project().needs_resume
        await house.daemon.live(60)
        assert len(house.daemon.world.hosting.sent) == 1


async def test_projects_share_a_source_unless_they_exclude_different_things() -> None:
    async with a_house() as house:
        await house.configure({"name": "shop"}, {"name": "other"})
        assert house.excluded == [()]
        await house.configure({"name": "shop"}, {"name": "other", "exclude_routes": ["/noisy"]})
        assert house.excluded == [(), ("/noisy",)], "the one that nothing changed for is kept"
        chains = house.fleet._chains
        assert chains[PROJECT][0] is not chains[OTHER][0]


# Patterns

THIRD = ProjectId("prj_third")


async def test_a_pattern_takes_in_what_the_team_has_and_a_named_project_keeps_its_own_entry() -> None:
    async with a_house() as house:
        everything = {"match": "*", "exclude": ["docs"], "posture": "approve"}
        house.listing = {PROJECT: "shop", OTHER: "other", THIRD: "docs"}
        await house.configure(everything, SHOP)
        assert (house.ids, house.fleet.awaits_listing) == ([PROJECT], True)
        lines = await house.discover()
        assert [(line["event"], line["project"]) for line in lines] == [
            ("policy.loaded", OTHER),
            ("project.discovered", OTHER),
        ]
        assert (lines[1]["name"], lines[1]["match"], house.fleet.awaits_listing) == ("other", "*", False)
        postures = {one.id: one.policy().posture for one in house.fleet.projects}
        assert postures == {PROJECT: Posture.AUTOMATIC, OTHER: Posture.APPROVE}
        assert house.value("projects") == 2
        assert await house.discover() == []


async def test_a_listing_that_fails_changes_nothing_is_told_once_and_soon_tried_again() -> None:
    async with a_house() as house:
        house.listing = {OTHER: "other"}
        await house.configure({"match": "*"})
        await house.discover()
        assert house.fleet.discover_every_seconds == 300
        listed_at = house.value("projects_listed_timestamp_seconds")
        house.listing = Unavailable("503")
        assert [line["what"] for line in await house.discover()] == ["projects"]
        assert (await house.discover(), house.ids, house.fleet.discover_every_seconds) == ([], [OTHER], 30)
        assert house.value("projects_listed_timestamp_seconds") == listed_at
        house.listing = {OTHER: "other"}
        await house.discover()
        assert house.fleet.discover_every_seconds == 300


@pytest.mark.slow
async def test_what_the_listings_lack_is_let_go_after_several_and_not_while_an_incident_is_open() -> None:
    async with a_house() as house:
        house.listing = {PROJECT: "shop"}
        await house.configure({"match": "*", "posture": "observe"})
        await house.discover()
        await house.breach()
        house.listing = {THIRD: "third"}
        for _ in range(LISTINGS_MISSED_MAX + 2):
            assert "project.gone" not in [line["event"] for line in await house.discover()]
        assert house.project().policy().digest != REMOVED, "it is decided as before"
        house.daemon.world.hosting.release(GOOD)
        await house.daemon.live(60)
        assert house.daemon.incident.state.is_terminal
        [line] = await house.discover()
        assert (line["event"], line["project"]) == ("project.gone", PROJECT)
        assert (line["summary"], house.ids) == ("3 complete listings lacked it", [THIRD])


async def test_a_project_that_is_given_another_name_goes_to_the_pattern_of_that_name() -> None:
    async with a_house() as house:
        house.listing = {PROJECT: "shop", OTHER: "other"}
        await house.configure({"match": "shop"}, {"match": "other*", "posture": "approve"})
        await house.discover()
        await house.daemon.poll()
        house.listing = {PROJECT: "others", OTHER: "elsewhere"}
        lines = await house.discover()
        assert house.ids == [PROJECT]
        assert house.project().policy().posture is Posture.APPROVE
        assert [line["summary"] for line in lines if line["event"] == "project.gone"] == [
            "the configuration names it no more"
        ]


async def test_other_patterns_count_at_once_for_what_was_listed_before() -> None:
    async with a_house() as house:
        house.listing = {PROJECT: "shop", OTHER: "other"}
        await house.configure({"match": "shop"})
        await house.discover()
        await house.configure({"match": "*"})
        assert house.ids == [OTHER, PROJECT]
        assert house.fleet.has_patterns
        await house.configure(SHOP, BLOG)
        assert not house.fleet.has_patterns


async def test_no_more_projects_are_watched_than_one_daemon_may_and_the_named_ones_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Ten thousand and one would take the test a minute.
    monkeypatch.setattr(fleet_module, "PROJECTS_MAX", 2)
    async with a_house() as house:
        house.listing = {PROJECT: "shop", OTHER: "other", THIRD: "third"}
        await house.configure({"id": THIRD}, {"match": "*"})
        lines = await house.discover()
        assert house.ids == [THIRD, OTHER]
        assert [line["count"] for line in lines if line["event"] == "projects.left_out"] == [1]
        assert await house.discover() == []
