"""The provider's status page: an incident that is bad enough, none, and everything that is neither."""

from typing import Any

import httpx
import pytest

from daemon.ports.errors import PortError, RateLimited, Refused, Unavailable, Unintelligible
from daemon.sources.status_page import INCIDENTS_MAX, StatusPageSettings
from tests.unit.sources.serving import jsonly, text
from tests.unit.vercel.fakes import Script, StillClock

URL = "https://status.example.com"


def incident(name: str, impact: str) -> dict[str, Any]:
    return {"id": "x1", "name": name, "status": "investigating", "impact": impact, "components": [], "new_key": 1}


def page(*incidents: dict[str, Any]) -> dict[str, Any]:
    return {
        "page": {"id": "p", "name": "Example"},
        "status": {"indicator": "none", "description": "All Systems Operational"},
        "components": [],
        "incidents": list(incidents),
        "scheduled_maintenances": [],
    }


async def read(*steps: Any, **settings: Any) -> tuple[str, Script]:
    script = Script(*steps)
    reader = StatusPageSettings.model_validate({"url": URL, **settings}).open(StillClock(), network=script)
    assert reader is not None
    return await reader.read_incident(), script


async def test_the_worst_incident_that_is_bad_enough_is_told_with_its_impact() -> None:
    told = page(incident("Slow builds", "minor"), incident("Edge is down", "critical"), incident("Functions", "major"))
    said, script = await read(jsonly(told))
    assert said == "Edge is down (critical)"
    assert script.asked == ["GET /api/v2/summary.json"]


@pytest.mark.parametrize(
    ("impact", "impact_min", "is_told"),
    [
        ("none", "major", False),
        ("maintenance", "major", False),
        ("minor", "major", False),
        ("major", "major", True),
        ("critical", "major", True),
        ("minor", "minor", True),
        ("major", "critical", False),
        ("apocalyptic", "minor", False),
    ],
)
async def test_what_is_bad_enough_is_the_operators_to_say(impact: str, impact_min: str, *, is_told: bool) -> None:
    said, _ = await read(jsonly(page(incident("Edge", impact))), impact_min=impact_min)
    assert bool(said) is is_told


async def test_no_incident_is_no_suspicion() -> None:
    assert (await read(jsonly(page())))[0] == ""


async def test_a_name_is_shown_on_one_printable_line() -> None:
    said, _ = await read(jsonly(page(incident("Edge\x1b[31m\nis down", "major"))))
    assert said == "Edge [31m is down (major)"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (text("<html>", content_type="text/html"), Unintelligible),
        (jsonly({"page": {}}), Unintelligible),
        (jsonly({"incidents": None}), Unintelligible),
        (jsonly({"incidents": [{"name": "Edge"}]}), Unintelligible),
        (jsonly({"incidents": [incident("Edge", "major")] * (INCIDENTS_MAX + 1)}), Unintelligible),
        (jsonly([]), Unintelligible),
        (jsonly({}, 503), Unavailable),
        (jsonly({}, 404), Refused),
        (jsonly({}, 429, retry_after="30"), RateLimited),
        (httpx.ConnectError("refused"), Unavailable),
    ],
)
async def test_what_cannot_be_understood_is_no_word_either_way(answer: Any, error: type[PortError]) -> None:
    with pytest.raises(error, match="status page"):
        await read(answer)


def test_without_a_page_nobody_is_asked() -> None:
    assert StatusPageSettings().open(StillClock()) is None
