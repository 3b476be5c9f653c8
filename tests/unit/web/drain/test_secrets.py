"""Secrets are read again when their files change, are never shown, and prove who sent a body."""

import hashlib
import hmac
import os
from pathlib import Path

import pytest

from daemon.web.drain.secrets import Secret, SecretFiles, SignatureCheck
from tests.unit.web.drain.receiving import OTHER_SECRET, SECRET, signature


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "team.secret"
    file.write_text("first\n")
    return file


def values(secrets: SecretFiles) -> list[bytes]:
    return [one.value for one in secrets()]


def test_a_secret_is_named_for_its_file(file: Path) -> None:
    assert list(SecretFiles([file])()) == [Secret("team.secret", b"first")]


def test_a_rotated_secret_needs_no_restart_and_the_old_one_may_stay_a_while(file: Path) -> None:
    secrets = SecretFiles([file])
    assert values(secrets) == [b"first"]
    file.write_text("second\n  first  \n\n")
    assert values(secrets) == [b"second", b"first"]
    replacement = file.with_suffix(".new")
    replacement.write_text("second")
    replacement.replace(file)
    assert values(secrets) == [b"second"]


def test_an_unchanged_file_is_not_read_again(file: Path) -> None:
    secrets = SecretFiles([file])
    assert values(secrets) == [b"first"]
    known = file.stat()
    with file.open("r+b") as opened:
        opened.write(b"FIRST")
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
    secrets._stamps[file] = (file.stat().st_ino, file.stat().st_ctime_ns, known.st_mtime_ns, known.st_size)
    assert values(secrets) == [b"first"]


def test_each_drain_has_a_file_of_its_own(file: Path) -> None:
    other = file.with_name("other.secret")
    other.write_bytes(b"another")
    assert [one.stream for one in SecretFiles([file, other])()] == ["team.secret", "other.secret"]


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (None, "is no file"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a\nb\nc\nd\ne\n", "at most 4 secrets"),
        (b"x" * 4097, "too long"),
    ],
    ids=["missing", "empty", "blank", "five", "long"],
)
def test_a_file_that_cannot_be_used_gives_no_secret_and_says_why(
    file: Path, content: bytes | None, trouble: str
) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    secrets = SecretFiles([file])
    assert values(secrets) == []
    assert trouble in secrets.trouble
    assert str(file) in secrets.trouble
    file.write_bytes(b"mended")
    assert values(secrets) == [b"mended"]
    assert secrets.trouble == ""


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    secrets = SecretFiles([tmp_path])
    assert values(secrets) == []
    assert "is no file" in secrets.trouble


def test_no_secret_is_shown(file: Path) -> None:
    secrets = SecretFiles([file])
    assert "first" not in repr(secrets())
    assert secrets.texts() == ["first"], "so that the log can hide it"


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
def test_whoever_signed_a_body_is_known_by_it(secret: bytes) -> None:
    check = SignatureCheck([Secret("one", SECRET), Secret("two", OTHER_SECRET)])
    for chunk in (b"some ", b"", b"body"):
        check.add(chunk)
    assert check.stream_of(signature(b"some body", secret).encode()) == ("one" if secret == SECRET else "two")


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        signature(b"another body").encode(),
        signature(b"some body", b"nobody's").encode(),
        signature(b"some body").upper().encode(),
        signature(b"some body").encode() + b"0",
        b"sha1=" + signature(b"some body").encode(),
        hmac.new(SECRET, b"some body", hashlib.sha256).hexdigest().encode(),
        "ü".encode("latin-1"),
    ],
)
def test_any_other_signature_is_nobodys(wrong: bytes) -> None:
    check = SignatureCheck([Secret("one", SECRET)])
    check.add(b"some body")
    assert check.stream_of(wrong) is None


def test_without_a_secret_nobody_signed() -> None:
    assert SignatureCheck([]).stream_of(signature(b"").encode()) is None
