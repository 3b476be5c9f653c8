"""Tokens are read at each use; in doubt there is none, and no message shows one."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from daemon.settings import FixedToken, TokenFile, TokenUnreadable, load
from daemon.settings.model import VercelSettings
from daemon.settings.tokens import TOKEN_CHARACTERS_MAX


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("vcp_first\n", encoding="utf-8")
    file.chmod(0o600)
    return file


def refusal(token: TokenFile | FixedToken) -> str:
    with pytest.raises(TokenUnreadable) as caught:
        token()
    return str(caught.value)


def test_a_rotated_token_is_used_at_once(path: Path) -> None:
    token = TokenFile(path)
    assert token() == "vcp_first"
    path.write_text(" vcp_second \n", encoding="utf-8")
    assert token() == "vcp_second"


def test_a_token_that_is_gone_is_not_remembered(path: Path) -> None:
    token = TokenFile(path)
    token()
    path.unlink()
    assert refusal(token) == "the file cannot be read (No such file or directory); write the token there"


@pytest.mark.parametrize("content", [b"", b" \n", b"vcp_a vcp_b", b"vcp_a\nvcp_b", b"vcp_\xc3\xa9", b"vcp_\x00a"])
def test_content_that_is_no_token_is_refused_without_repeating_it(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "vcp_" not in refusal(TokenFile(path))


def test_the_length_of_a_token_is_bounded(path: Path) -> None:
    path.write_text("a" * TOKEN_CHARACTERS_MAX + "\n", encoding="utf-8")
    assert len(TokenFile(path)()) == TOKEN_CHARACTERS_MAX
    path.write_text("a" * (TOKEN_CHARACTERS_MAX + 1) + "\n", encoding="utf-8")
    assert "has over" in refusal(TokenFile(path))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is no file" in refusal(TokenFile(pipe))


def test_one_token_reads_and_acts() -> None:
    reading = VercelSettings(read_token=SecretStr("vcp_read"))
    acting = VercelSettings(act_token=SecretStr("vcp_act"))
    assert reading.token_to_act() == "vcp_read"
    assert acting.token_to_read() == "vcp_act"


def test_two_tokens_are_kept_apart(path: Path) -> None:
    both = VercelSettings(read_token=SecretStr("vcp_read"), act_token_file=path)
    assert (both.token_to_read(), both.token_to_act()) == ("vcp_read", "vcp_first")


@pytest.mark.parametrize(("mode", "count"), [(0o600, 0), (0o640, 0), (0o604, 1)])
def test_a_token_that_everybody_may_read_is_warned_of(path: Path, tmp_path: Path, mode: int, count: int) -> None:
    path.chmod(mode)
    config = tmp_path / "lastgood.yaml"
    config.write_text(f"vercel: {{read_token_file: {path}}}\nprojects: [{{name: shop}}]\n", encoding="utf-8")
    warnings = load(config, {}).warnings
    assert [warning.key for warning in warnings] == ["vercel.read_token_file"] * count
