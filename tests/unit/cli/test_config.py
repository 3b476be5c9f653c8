"""What the log must never show: each token as it is and was, without opening its file for every line."""

from pathlib import Path

import pytest

from daemon.cli.config import tokens_of
from daemon.settings import load_settings
from daemon.settings.tokens import TokenFile
from tests.unit.cli.operating import Operated


def rotate(path: Path, token: str) -> None:
    """Put *token* in the file's place, as a secret's mount does."""
    newer = path.with_suffix(".new")
    newer.write_text(token)
    newer.chmod(0o600)
    newer.replace(path)


def test_a_rotated_token_is_hidden_beside_the_one_before_it(operated: Operated) -> None:
    hidden = tokens_of(load_settings(operated.config, {}))
    path = operated.folder / "token"
    assert set(hidden()) == {"tok_of_the_operator"}
    rotate(path, "tok_second")
    assert set(hidden()) == {"tok_of_the_operator", "tok_second"}
    rotate(path, "tok_third_one")
    assert set(hidden()) == {"tok_second", "tok_third_one"}


def test_a_token_that_is_taken_away_stays_hidden(operated: Operated) -> None:
    hidden = tokens_of(load_settings(operated.config, {}))
    hidden()
    (operated.folder / "token").unlink()
    assert set(hidden()) == {"tok_of_the_operator"}
    rotate(operated.folder / "token", "")
    assert set(hidden()) == {"tok_of_the_operator"}


def test_a_file_that_did_not_change_is_not_read_again(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tokens_of(load_settings(operated.config, {}))
    before = hidden()
    monkeypatch.setattr(TokenFile, "_read", lambda _self: pytest.fail("it was read again"))
    assert hidden() == before
