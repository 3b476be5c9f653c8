"""The receiver's settings are bounded, fit together, and receive nothing unless a secret is named."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.settings.drain import KIB, MIB, DrainReceiverSettings


def test_by_default_there_is_no_receiver() -> None:
    assert DrainReceiverSettings().secret_files == ()


@pytest.mark.parametrize(
    "change",
    [
        {"secret_files": ["relative.secret"]},
        {"secret_files": [f"/etc/{number}.secret" for number in range(9)]},
        {"path": "drain"},
        {"path": "/"},
        {"path": "/drain/"},
        {"path": "/drain?x=1"},
        {"path": "/{path:path}"},
        {"verify_code": ""},
        {"verify_code": "two words"},
        {"verify_code": "line\nbreak"},
        {"host": "example.com"},
        {"port": 65536},
        {"body_bytes_max": 64 * KIB - 1},
        {"body_bytes_max": 64 * MIB + 1},
        {"queue_events_max": 999},
        {"requests_remembered_max": 999},
        {"requests_remembered_for": timedelta(seconds=59)},
        {"requests_remembered_for": timedelta(minutes=61)},
        {"routes_max": 0},
        {"handover_interval": timedelta(0)},
        {"handover_interval": timedelta(seconds=11)},
        {"keep": timedelta(minutes=59)},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_setting_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DrainReceiverSettings(**change)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "localhost"])
@pytest.mark.parametrize("path", ["/drain", "/hooks/vercel/drain.v1", "/~a_b-c"])
def test_sensible_addresses_are_taken(host: str, path: str) -> None:
    settings = DrainReceiverSettings(host=host, path=path, port=0)
    assert (settings.host, settings.path) == (host, path)


@pytest.mark.parametrize("name", ["queue_bytes_max", "inflated_bytes_max"])
def test_what_is_smaller_than_one_batch_is_refused_with_both_numbers(name: str) -> None:
    assert DrainReceiverSettings(**{name: 8 * MIB})
    with pytest.raises(ValidationError, match=rf"{name} {8 * MIB - 1} is less than body_bytes_max {8 * MIB}"):
        DrainReceiverSettings(**{name: 8 * MIB - 1})


def test_two_drains_cannot_have_files_of_the_same_name() -> None:
    assert DrainReceiverSettings(secret_files=(Path("/a/one.secret"), Path("/a/two.secret")))
    with pytest.raises(ValidationError, match="the same name"):
        DrainReceiverSettings(secret_files=(Path("/a/drain.secret"), Path("/b/drain.secret")))
