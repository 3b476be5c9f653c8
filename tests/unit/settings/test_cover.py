"""Which entry each project goes to: its own, then the first pattern in the file that covers it, else none."""

from typing import Any

from daemon.core.facts import ProjectId
from daemon.settings import Settings
from daemon.settings.cover import cover


def covered(*entries: dict[str, Any], named: dict[str, int] | None = None, listed: str = "") -> dict[str, int]:
    """Return the entry of each of the names in *listed*, whose ids are the names behind `prj_`."""
    settings = Settings.model_validate({"projects": entries})
    own = {ProjectId(f"prj_{name}"): index for name, index in (named or {}).items()}
    team = {ProjectId(f"prj_{name}"): name for name in listed.split()}
    return {project.removeprefix("prj_"): index for project, index in cover(settings, own, team).items()}


def test_a_named_project_goes_to_its_own_entry_wherever_that_stands() -> None:
    entries = [{"match": "*"}, {"name": "shop"}]
    assert covered(*entries, named={"shop": 1}, listed="blog shop") == {"shop": 1, "blog": 0}


def test_a_named_project_is_there_without_any_listing() -> None:
    assert covered({"name": "shop"}, {"match": "*"}, named={"shop": 0}) == {"shop": 0}


def test_of_several_patterns_the_first_in_the_file_wins() -> None:
    entries = [{"match": "shop-*"}, {"match": "*-eu"}, {"match": "?"}]
    assert covered(*entries, listed="shop-eu blog-eu a ab") == {"shop-eu": 0, "blog-eu": 1, "a": 2}


def test_what_a_pattern_leaves_out_is_left_to_the_next_one() -> None:
    entries = [{"match": "shop-*", "exclude": ["*-test", "shop-old"]}, {"match": "*-test"}]
    assert covered(*entries, listed="shop-eu shop-test shop-old") == {"shop-eu": 0, "shop-test": 1}


def test_names_are_compared_letter_by_letter() -> None:
    assert covered({"match": "Shop"}, listed="shop") == {}
