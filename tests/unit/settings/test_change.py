"""What only a restart can change is named, key by key; everything that the policy is made of can change."""

from typing import Any

import pytest

from daemon.settings import Settings
from daemon.settings.change import keeps_buckets, what_needs_a_restart

BASE: dict[str, Any] = {"projects": [{"name": "shop"}]}


def keys(before: dict[str, Any], after: dict[str, Any]) -> list[object]:
    started, wanted = Settings.model_validate(BASE | before), Settings.model_validate(BASE | after)
    return [one.inputs[0] for one in what_needs_a_restart(started, wanted)]


@pytest.mark.parametrize(
    "after",
    [
        {},
        {"poll": {"interval": "PT20S"}},
        {"log": {"level": "debug"}},
        {"defaults": {"posture": "approve"}},
        {"profiles": {"checkout": {"posture": "approve"}}},
        {"projects": [{"name": "blog", "sources": [{"kind": "observability"}]}]},
    ],
)
def test_the_policy_the_rhythm_and_the_log_level_can_change(after: dict[str, Any]) -> None:
    assert keys({}, after) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("vercel", "api_url", "https://api.example.com"),
        ("vercel", "team", "team_1"),
        ("vercel", "read_token", "x"),
        ("vercel", "read_token_file", "/a"),
        ("vercel", "act_token_file", "/b"),
        ("vercel", "requests_per_minute_max", 20),
        ("vercel", "request_timeout", "PT5S"),
        ("store", "path", "/elsewhere.db"),
        ("store", "keep_journal", "P2D"),
        ("web", "host", "0.0.0.0"),
        ("web", "port", 1),
        ("log", "format", "console"),
        ("poll", "lease_ttl", "PT90S"),
        ("drain", "secret_files", ["/c"]),
        ("drain", "path", "/other"),
        ("webhooks", "secret_files", ["/d"]),
    ],
)
def test_what_holds_something_open_needs_a_restart_in_words_that_name_it(section: str, key: str, value: Any) -> None:
    assert keys({}, {section: {key: value}}) == [(section, key)]
    started, wanted = (Settings.model_validate(BASE | one) for one in ({}, {section: {key: value}}))
    [found] = what_needs_a_restart(started, wanted)
    assert found.message == f"restart to change {section}.{key}; until then write what was there"


def test_counts_that_nobody_kept_when_it_started_cannot_be_read_later() -> None:
    drain = {"projects": [{"name": "blog"}, {"name": "shop", "sources": [{"kind": "log_drain"}]}]}
    assert keys({}, drain) == [("projects", 1, "sources", 0)]
    assert keys(drain, drain) == []
    kept = {"drain": {"secret_files": ["/c"]}}
    assert keys(kept, kept | drain) == []
    assert [keeps_buckets(Settings.model_validate(BASE | one)) for one in ({}, kept, drain)] == [False, True, True]
