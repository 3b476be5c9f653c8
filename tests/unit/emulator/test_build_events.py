"""The log of a build: as a list, as lines, followed until it is over; and what each framework's builds say."""

import json
from typing import Any

import pytest

from daemon.emulator.build_log import build_events
from tests.unit.emulator.driving import Driver, a_project, a_scenario, driving


async def lines(vercel: Driver, name: str, **query: Any) -> list[dict[str, Any]]:
    response = await vercel.get(f"/v3/now/deployments/{vercel.id_of(name)}/events", format="lines", **query)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/stream+json")
    return [json.loads(line) for line in response.text.splitlines()]


async def test_the_log_of_a_finished_build_is_the_same_as_lines_and_as_a_list(vercel: Driver) -> None:
    listed = await vercel.json(f"/v3/deployments/{vercel.id_of('good')}/events")
    assert await lines(vercel, "good", follow="", direction="forward") == listed
    assert await vercel.json(f"/v2/deployments/{vercel.world.deployment('web', 'good').url}/events") == listed
    assert [event["created"] for event in listed] == sorted(event["created"] for event in listed)
    assert len({event["id"] for event in listed}) == len(listed)
    # What the parser of @vercel/sdk 1.28.35 refuses an event without, and what the CLI skips one without.
    assert all({"type", "info", "created", "text", "deploymentId", "serial", "date"} <= set(event) for event in listed)
    deployment = vercel.world.deployment("web", "good")
    assert listed[0]["created"] == deployment.created_at_ms
    assert listed[-1]["created"] == deployment.ready_at_ms


async def test_a_log_has_commands_deprecations_and_the_variables_that_are_missing() -> None:
    log = {"warnings": ["warning: big chunk"], "missing_env": ["DATABASE_URL"]}
    past = [{"name": "v1", "age": "1d", "log": log}]
    async with driving(a_scenario(projects=[a_project(deployments=past)])) as vercel:
        events = await lines(vercel, "v1")
    by_level = [(event["type"], event.get("level"), event["text"]) for event in events]
    assert ("command", None, 'Running "npm run build"') in by_level
    assert ("stderr", "warning", "warning: DATABASE_URL is not set") in by_level
    assert ("stderr", "warning", "warning: big chunk") in by_level
    assert any("deprecated" in text for _, level, text in by_level if level == "warning")


@pytest.mark.parametrize(
    ("framework", "builder", "says"),
    [
        ("nextjs", "@vercel/next", "> next build"),
        ("vite", "@vercel/static-build", "> vite build"),
        ("sveltekit", "@sveltejs/kit", "> Using @sveltejs/adapter-vercel"),
        ("nuxtjs", "@vercel/static-build", "> nuxt build"),
        ("something", "@vercel/static-build", "> node build.js"),
    ],
)
async def test_each_framework_speaks_its_own_words(framework: str, builder: str, says: str) -> None:
    past = [{"name": "v1", "age": "1d"}, {"name": "v2", "age": "1h", "ends": "ERROR"}]
    async with driving(a_scenario(projects=[a_project(framework=framework, deployments=past)])) as vercel:
        assert says in [event["text"] for event in await lines(vercel, "v1")]
        builds = (await vercel.json(f"/v11/deployments/{vercel.id_of('v1')}/builds"))["builds"]
        assert [build["use"] for build in builds] == [builder]
        failed = await lines(vercel, "v2")
        assert failed[-1]["text"] == 'Error: Command "npm run build" exited with 1'
        assert "Deployment completed" not in [event["text"] for event in failed]


async def test_a_build_at_work_shows_only_what_it_has_said_and_a_queued_one_nothing(vercel: Driver) -> None:
    await vercel.control("deployments", {"project": "web", "name": "next", "queue": "1s", "build": "10s"})
    assert await lines(vercel, "next") == []
    vercel.clock.advance(1 + 3.2)
    texts = [event["text"] for event in await lines(vercel, "next")]
    assert texts[-1] == 'Running "npm run build"'
    vercel.clock.advance(10)
    assert [event["text"] for event in await lines(vercel, "next")][: len(texts)] == texts


async def test_following_a_build_yields_its_whole_log_once_and_ends_when_it_is_ready(vercel: Driver) -> None:
    await vercel.control("deployments", {"project": "web", "name": "next", "queue": "1s", "build": "10s"})
    followed = await lines(vercel, "next", follow="1")
    assert followed[:-1] == await lines(vercel, "next")
    assert followed[-1] == {"type": "alias-assigned", "deploymentId": vercel.id_of("next")}
    assert vercel.world.deployment("web", "next").ready_state == "READY"


async def test_following_a_build_that_fails_ends_without_an_alias(vercel: Driver) -> None:
    await vercel.control("deployments", {"project": "web", "name": "next", "build": "10s", "ends": "ERROR"})
    followed = await lines(vercel, "next", follow="1")
    assert followed[-1]["text"] == 'Error: Command "npm run build" exited with 1'


async def test_the_public_route_follows_as_a_stream_and_tells_how_the_build_ended_with_delimiters(
    vercel: Driver,
) -> None:
    await vercel.control("deployments", {"project": "web", "name": "next", "build": "2s"})
    path = f"/v3/deployments/{vercel.id_of('next')}/events"
    response = await vercel.get(path, follow=1, delimiter=1)
    assert response.headers["content-type"] == "application/stream+json"
    last = json.loads(response.text.splitlines()[-1])
    assert (last["type"], last["info"]["readyState"]) == ("deployment-state", "READY")
    assert (await vercel.json(path, delimiter=1))[-1] == last
    assert (await vercel.json(path))[-1] != last


async def test_events_are_chosen_by_direction_limit_time_and_name(vercel: Driver) -> None:
    path = f"/v3/deployments/{vercel.id_of('good')}/events"
    everything = await vercel.json(path, limit=-1)
    assert await vercel.json(path, direction="backward", limit=2) == everything[::-1][:2]
    assert await vercel.json(path, since=everything[-1]["created"]) == everything[-1:]
    first = [event for event in everything if event["created"] == everything[0]["created"]]
    assert await vercel.json(path, until=everything[0]["created"]) == first
    assert await vercel.json(path, name=everything[0]["info"]["name"]) == everything
    assert await vercel.json(path, name="bld_other") == []


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": -2}, {"direction": "up"}, {"since": "then"}], ids=str)
async def test_malformed_choices_are_bad_requests(vercel: Driver, query: dict[str, Any]) -> None:
    assert (await vercel.get(f"/v3/deployments/{vercel.id_of('good')}/events", **query)).status_code == 400


async def test_the_events_of_an_unknown_deployment_are_not_found(vercel: Driver) -> None:
    assert (await vercel.get("/v3/now/deployments/dpl_nobody/events")).status_code == 404


async def test_a_canceled_build_says_so_and_nothing_after(vercel: Driver) -> None:
    await vercel.control("deployments", {"project": "web", "name": "next", "build": "10s"})
    vercel.clock.advance(3.2)
    await vercel.client.patch(f"/v12/deployments/{vercel.id_of('next')}/cancel")
    vercel.clock.advance(60)
    texts = [event["text"] for event in await lines(vercel, "next")]
    assert texts[-2:] == ['Running "npm run build"', "Build canceled"]


async def test_a_log_is_a_pure_function_of_the_deployment_and_the_time(vercel: Driver) -> None:
    deployment, project = vercel.world.deployment("web", "good"), vercel.world.project("web")
    now_ms = vercel.world.now_ms
    assert build_events(deployment, project, now_ms) == build_events(deployment, project, now_ms + 5_000)
