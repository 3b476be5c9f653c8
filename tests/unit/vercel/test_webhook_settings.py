"""The section that says how webhooks are received: off by default, bounded, and no path that is taken."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from daemon.vercel.webhook_settings import WebhookReceiverSettings


def test_without_a_secret_there_is_no_receiver() -> None:
    settings = WebhookReceiverSettings()
    assert settings.secret_files == ()
    assert (settings.path, settings.event_age_max) == ("/webhooks/vercel", timedelta(minutes=15))
    assert (settings.queue_events_max, settings.body_bytes_max) == (1_000, 262_144)


@pytest.mark.parametrize("path", ["/hooks", "/a/b-c_d.e", "/1"])
def test_a_path_of_ones_own(path: str) -> None:
    assert WebhookReceiverSettings(path=path).path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "hooks",
        "/a//b",
        "/a/",
        "/a?b",
        "/..",
        "/a b",
        "/{x}",
        "/metrics",
        "/healthz",
        "/readyz",
        "/" + "a" * 200,
    ],
)
def test_a_path_that_cannot_be_served_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        WebhookReceiverSettings(path=path)


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("event_age_max", timedelta(minutes=1), timedelta(hours=24)),
        ("queue_events_max", 1, 100_000),
        ("body_bytes_max", 1_024, 4_194_304),
    ],
)
def test_bounds_are_kept(key: str, low: object, high: object) -> None:
    step = timedelta(microseconds=1) if isinstance(low, timedelta) else 1
    for value in (low, high):
        assert getattr(WebhookReceiverSettings(**{key: value}), key) == value
    for value in (low - step, high + step):
        with pytest.raises(ValidationError):
            WebhookReceiverSettings(**{key: value})


def test_secrets_are_files_by_absolute_paths_and_four_at_most() -> None:
    files = tuple(Path(f"/run/secrets/{number}") for number in range(5))
    assert WebhookReceiverSettings(secret_files=files[:4]).secret_files == files[:4]
    for wrong in (files, ("secrets/one",)):
        with pytest.raises(ValidationError):
            WebhookReceiverSettings(secret_files=wrong)


def test_unknown_keys_are_refused_and_no_value_is_shown() -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookReceiverSettings(secret="s3cret")
    assert "s3cret" not in str(caught.value)
