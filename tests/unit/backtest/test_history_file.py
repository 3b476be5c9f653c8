"""The format: what is written is read back as it was, and every mistake is told with its line."""

import gzip
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.backtest.history import Header, HistoryError, Ids, Origin, ProjectHistory, Span, Times
from daemon.backtest.history_file import LINE_BYTES_MAX, open_history
from daemon.backtest.lines import EPOCH, RUN_MAX, CountsLine, ProjectLine, Section, project_lines
from daemon.core.facts import ActivationOrigin, DeploymentId, ErrorRateSample, ProjectId
from tests.unit.backtest.histories import (
    BAD,
    GOOD,
    SERVED_BEFORE,
    a_bad_release,
    a_history,
    an_activation,
    at,
    counts,
    samples_of,
    text_of,
    write,
)

BLOG = ProjectId("prj_blog")


def read(path: Path) -> list[ProjectHistory]:
    with open_history(path) as history:
        return list(history.projects)


def refused(path: Path) -> str:
    with pytest.raises(HistoryError) as caught:
        read(path)
    return str(caught.value)


def changed(folder: Path, line: int, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a good history whose *line* (from 1) was changed."""
    lines = text_of(a_bad_release()).splitlines()
    said = json.loads(lines[line - 1])
    change(said)
    lines[line - 1] = json.dumps(said)
    path = folder / "changed.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


# What is written is read back


def test_a_history_is_read_back_as_it_was(tmp_path: Path) -> None:
    rich = a_history(
        counts(GOOD, [0, 1, 2, 5])
        + counts(BAD, [5, 6], 30, platform_errors=2)
        + counts(BAD, [7], 9, None)
        + counts(GOOD, [2], 1, 3, is_late=True),
        [SERVED_BEFORE, an_activation(BAD, 5, commit="abc", is_derived=True)],
        no_data=(Span(at(3), at(4.5)),),
        repeats=3,
    )
    blog = replace(a_history(counts(GOOD, [0], is_sampled=True)), project=BLOG)
    header = Header(Origin.JOURNAL, Ids.PSEUDONYMS, Times.SHIFTED)
    with open_history(write(tmp_path, rich, blog, header=header)) as history:
        assert history.header == header
        assert list(history.projects) == [rich, blog]


def test_every_delay_survives(tmp_path: Path) -> None:
    history = a_bad_release()
    delayed = [
        replace(one, delay=timedelta(seconds=60 + n % 3, milliseconds=n)) for n, one in enumerate(history.counts)
    ]
    uneven = replace(history, counts=tuple(delayed))
    assert read(write(tmp_path, uneven)) == [uneven]
    assert uneven.lag == timedelta(seconds=61, milliseconds=58)


def test_milliseconds_survive(tmp_path: Path) -> None:
    odd = [
        ErrorRateSample(GOOD, at(0) + timedelta(milliseconds=17), at(0) + timedelta(milliseconds=10_117), 3, 1),
        ErrorRateSample(GOOD, at(0) + timedelta(milliseconds=10_117), at(0) + timedelta(milliseconds=20_217), 5, 0),
    ]
    assert samples_of(read(write(tmp_path, a_history(odd)))[0]) == odd


def test_a_week_of_minutes_is_a_line_an_hour() -> None:
    hours = 24 * 7
    lines = list(project_lines(a_history(counts(GOOD, range(hours * 60)))))
    assert len([line for line in lines if '"counts"' in line]) == hours * 60 / RUN_MAX
    assert max(len(line) for line in lines) < 1000


def test_a_gap_ends_a_line_and_is_no_zero(tmp_path: Path) -> None:
    history = a_history(counts(GOOD, [0, 1, 3], 0, 0))
    lines = [json.loads(line) for line in project_lines(history)]
    assert [line["requests"] for line in lines if line["kind"] == "counts"] == [[0, 0], [0]]
    assert len(read(write(tmp_path, history))[0].counts) == 3


def test_gzip_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl.gz"
    path.write_bytes(gzip.compress(text_of(a_bad_release()).encode()))
    assert read(path) == [a_bad_release()]


def test_projects_are_read_one_at_a_time(tmp_path: Path) -> None:
    path = write(tmp_path, a_bad_release(), replace(a_bad_release(), project=BLOG))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-2], "not JSON"]))
    with open_history(path) as history:
        # The first project is whole before the mistake in the second one is even seen.
        assert next(history.projects) == a_bad_release()
        with pytest.raises(HistoryError, match="Invalid JSON"):
            next(history.projects)


# What is wrong is told with its line


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.jsonl") == f"cannot read {tmp_path}/none.jsonl: No such file or directory"


@pytest.mark.parametrize("text", ["", "\n", "{}\n", "hello\n", '{"format":"other","version":1}\n', "[1]\n"])
def test_what_is_no_history_is_refused_at_its_first_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(text)
    message = refused(path)
    assert ", line 1: " in message
    assert "cut off" in message if not text else "lastgood record" in message


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_an_unknown_version_is_refused(tmp_path: Path, version: object) -> None:
    message = refused(changed(tmp_path, 1, lambda said: said.update(version=version)))
    assert message.endswith(f"line 1: version {version!r} is not known here, only 1; update lastgood")


def test_a_cut_off_gzip_is_told_with_the_line_that_it_broke_in(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl.gz"
    whole = gzip.compress(text_of(a_bad_release()).encode(), compresslevel=0)
    path.write_bytes(whole[:-400])
    message = refused(path)
    assert "the file is cut off" in message
    assert ", line 8: " in message


def test_what_is_no_gzip_in_spite_of_its_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl.gz"
    path.write_text(text_of(a_bad_release()))
    assert "line 1: not gzip" in refused(path)


def test_a_file_cut_off_between_two_lines_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, a_bad_release())
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert f"line {len(lines)}: the file ends here, without its last line" in refused(path)


def test_something_after_the_last_line_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, a_bad_release())
    count = len(path.read_text().splitlines())
    path.write_text(path.read_text() * 2)
    assert f"line {count + 1}: something follows the last line" in refused(path)


def test_a_last_line_that_counts_other_projects_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, a_bad_release())
    path.write_text(path.read_text().replace('"projects":1', '"projects":2'))
    assert "holds 2 projects, and it holds 1" in refused(path)


def test_an_endless_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(text_of(a_bad_release()).splitlines()[0] + "\n" + "x" * (LINE_BYTES_MAX + 1))
    assert f"line 2: longer than {LINE_BYTES_MAX} bytes" in refused(path)


# Line 1 is the header, 2 the project, 3 to 5 its activations, 6 to 9 its counts.


@pytest.mark.parametrize(
    ("line", "change", "told"),
    [
        (2, {"kind": "projekt"}, "projekt"),
        (2, {"colour": "red"}, "colour: Extra inputs are not permitted"),
        (2, {"start": 9e9}, "is later than until"),
        (2, {"start": "now"}, "start: Input should be a valid number"),
        (6, {"delays": -1}, "Input should be greater than or equal to 0"),
        (6, {"delays": [1]}, "1 and 30 intervals in one line"),
        (3, {"origin": "magic"}, "origin: Input should be"),
        (4, {"at": None}, "older than the one before, or undated"),
        (5, {"at": 1}, "older than the one before, or undated"),
        (6, {"errors": [-1]}, "errors.0: Input should be greater than or equal to 0"),
        (6, {"errors": [1.5]}, "errors.0: Input should be a valid integer"),
        (6, {"errors": []}, "errors: Tuple should have at least 1 item"),
        (6, {"errors": [0] * 29}, "30 and 29 intervals in one line"),
        (6, {"errors": [101] * 30}, "not a sample: 101 of 100 requests"),
        (6, {"seconds": 0}, "seconds: Input should be greater than 0"),
        (7, {"deployment": "dpl_good", "start": 0}, "counts of dpl_good begin at 0, before"),
        (6, {"deployment": "https://x"}, "deployment: String should match pattern"),
    ],
)
def test_a_line_that_cannot_be_true_is_told(tmp_path: Path, line: int, change: dict[str, Any], told: str) -> None:
    message = refused(changed(tmp_path, line, lambda said: said.update(change)))
    assert f", line {line}: " in message
    assert told in message


def test_counts_given_twice_are_told_at_the_second_time(tmp_path: Path) -> None:
    path = write(tmp_path, a_bad_release())
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:6], lines[5], *lines[6:]]))
    message = refused(path)
    assert "line 7: counts of dpl_good begin at " in message
    assert message.endswith("out of order, or counted twice")


def test_lines_at_the_wrong_place_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, a_bad_release())
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[2:]]))
    assert "line 2: belongs to no project" in refused(path)
    path.write_text("".join([*lines[:6], lines[4], *lines[6:]]))
    assert "line 7: an activation after counts" in refused(path)
    path.write_text("".join([*lines[:-1], lines[1], lines[-1]]))
    assert f"line {len(lines)}: project prj_shop has a section already" in refused(path)


@pytest.mark.parametrize(("intervals", "is_refused"), [(9, False), (10, False), (11, True)])
def test_a_project_has_no_more_counts_than_can_be_held(intervals: int, is_refused: bool) -> None:
    head, line = (json.loads(one) for one in [*project_lines(a_history(counts(GOOD, range(intervals))))][::2])
    section = Section(EPOCH, ProjectLine.model_validate_json(json.dumps(head)), counts_max=10)
    with pytest.raises(ValueError, match="more than 10 intervals") if is_refused else nullcontext():
        section.add_counts(CountsLine.model_validate_json(json.dumps(line)))


def test_an_undated_activation_comes_first_or_not_at_all(tmp_path: Path) -> None:
    history = a_history(counts(GOOD, [0]), [SERVED_BEFORE, an_activation(DeploymentId("dpl_x"), 0)])
    assert read(write(tmp_path, history)) == [history]
    twice = replace(history, activations=(SERVED_BEFORE, an_activation(BAD, None, ActivationOrigin.FIRST_SEEN)))
    assert "older than the one before, or undated" in refused(write(tmp_path, twice))
