"""`lastgood decide`: recorded counts in, one decision a line out, and a clear refusal with the line's number."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.cli import app

TRACE = {"id": "a", "poll_s": 10, "prev": {"n": [99] * 90, "x": [0] * 90}, "new": {"n": [99] * 20, "x": [0] * 20}}


def decide(*words: object):
    return CliRunner().invoke(app, ["decide", *map(str, words)])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_judges_a_plain_and_a_gzipped_file(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"traces.jsonl{suffix}"
    text = json.dumps(TRACE) + "\n\n" + json.dumps(TRACE | {"id": "b"}) + "\n"
    file.write_bytes(gzip.compress(text.encode()) if suffix else text.encode())
    result = decide(file)
    assert result.exit_code == 0
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"id": "a", "decided_poll": None},
        {"id": "b", "decided_poll": None},
    ]


@pytest.mark.parametrize(("option", "value"), [("--sensitivity", "fast"), ("--alpha", "0.01")])
def test_less_evidence_decides_sooner(tmp_path: Path, option: str, value: str) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_text(json.dumps(TRACE | {"new": {"n": [99] * 90, "x": [3] * 90}}), encoding="utf-8")
    polls = [json.loads(decide(file, *more).stdout)["decided_poll"] for more in ((), (option, value))]
    assert polls[0] > polls[1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{}\n", "traces.jsonl:1: `id` must be a text"),
        (json.dumps(TRACE).encode() + b"\n\n{", "traces.jsonl:3: not JSON"),
        (json.dumps(TRACE).encode() + b"\n\xff\n", "cannot be read"),
    ],
)
def test_refuses_what_cannot_be_judged_and_names_the_line(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_bytes(content)
    result = decide(file)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_refuses_a_file_that_is_not_there_or_not_gzipped(tmp_path: Path) -> None:
    assert decide(tmp_path / "none.jsonl").exit_code == 2
    file = tmp_path / "traces.jsonl.gz"
    file.write_text(json.dumps(TRACE), encoding="utf-8")
    assert decide(file).exit_code == 2


def test_refuses_two_words_for_one_thing(tmp_path: Path) -> None:
    result = decide(tmp_path / "any", "--alpha", "0.01", "--sensitivity", "fast")
    assert result.exit_code == 2
    assert "keep one of the two" in result.stderr
