"""Old deployments vanish by themselves, save those that serve and the newest of production."""

from typing import Any

from tests.unit.emulator.driving import Driver, a_project, a_scenario, driving

PAST = [
    {"name": "ancient", "age": "300d"},
    {"name": "old", "age": "200d"},
    {"name": "older-preview", "age": "99d", "target": "preview"},
    {"name": "failed", "age": "98d", "ends": "ERROR"},
    {"name": "stopped", "age": "97d", "ends": "CANCELED"},
    {"name": "good", "age": "20h"},
]


async def listed(vercel: Driver) -> list[str]:
    rows = (await vercel.json("/v7/deployments"))["deployments"]
    return [vercel.world.deployments[row["uid"]].name for row in rows]


def a_keeping_scenario(**expiration: Any) -> Any:
    return a_scenario(projects=[a_project(deployments=PAST, expiration=expiration)])


async def test_each_kind_of_deployment_has_its_own_lifetime() -> None:
    lifetimes = {"production": "250d", "preview": "99d", "errored": "90d", "canceled": "98d", "keep": 0}
    async with driving(a_keeping_scenario(**lifetimes)) as vercel:
        assert await listed(vercel) == ["good", "stopped", "older-preview", "old"]
        vercel.clock.advance(1)
        assert await listed(vercel) == ["good", "stopped", "old"]


async def test_the_newest_of_production_and_what_serves_outlive_their_age() -> None:
    async with driving(a_keeping_scenario(production="1h", keep=2)) as vercel:
        assert [name for name in await listed(vercel) if name in {"good", "old", "ancient"}] == ["good", "old"]
        await vercel.roll_back("old")
        vercel.clock.advance(2)
        for name in ("new1", "new2"):
            await vercel.deploy(name)
        assert "old" in await listed(vercel), "it serves production"


async def test_an_expired_deployment_is_no_target_any_more() -> None:
    async with driving(a_keeping_scenario(production="250d", keep=0)) as vercel:
        target = next(item.id for item in vercel.world.deployments.values() if item.name == "ancient")
        refused = await vercel.client.post(f"/v9/projects/web/rollback/{target}")
        assert refused.status_code == 404
        candidates = await vercel.json("/v7/deployments", rollbackCandidate="true")
        assert [row["uid"] for row in candidates["deployments"]] == [vercel.id_of("good"), vercel.id_of("old")]
        days = (await vercel.json("/v9/projects/web"))["deploymentExpiration"]
        assert (days["expirationDaysProduction"], days["deploymentsToKeep"]) == (250, 0)
