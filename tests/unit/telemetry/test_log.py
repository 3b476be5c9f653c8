"""The log: one line an event that a machine can read, and never a secret, wherever it hides."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from daemon.telemetry.log import set_level, set_up_logging

SECRET = "tok_s3cr3t"
PASSWORDS = ["hunter2" * 2]


class Log:
    """A log as the process sets it up, written into memory."""

    def __init__(self, *, json: bool = True, level: str = "info") -> None:
        self.stream = io.StringIO()
        set_up_logging(level=level, json=json, stream=self.stream, secrets=lambda: [SECRET, ""])

    @property
    def text(self) -> str:
        """All that was written."""
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line as the JSON object that it must be."""
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Put the process's logging back when a test is done."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "hpack", "h2", "apscheduler")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail(password: str) -> None:
    local_variable = f"a local with {len(password)} characters"
    raise ValueError(f"bad token {SECRET}, see {local_variable[:0]}the manual")


def test_a_line_is_json_with_its_event_level_and_time() -> None:
    log = Log()
    structlog.get_logger().info("cycle.completed", project="prj_1", ratio=0.05, summary="watching – all well")
    (line,) = log.lines
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "cycle.completed",
        "level": "info",
        "project": "prj_1",
        "ratio": 0.05,
        "summary": "watching – all well",
    }


def test_what_is_below_the_level_is_not_written() -> None:
    log = Log(level="warning")
    structlog.get_logger().info("cycle.completed")
    structlog.get_logger().warning("read.failed")
    assert [line["event"] for line in log.lines] == ["read.failed"]


def test_lines_of_the_standard_library_look_the_same() -> None:
    log = Log()
    logging.getLogger("somebody").warning("broken: %s", "pipe")
    assert [(line["event"], line["level"]) for line in log.lines] == [("broken: pipe", "warning")]


@pytest.mark.parametrize("name", ["httpx", "httpcore", "hpack", "h2"])
def test_chatty_libraries_are_silent_below_a_warning_even_when_debugging(name: str) -> None:
    log = Log(level="debug")
    logging.getLogger(name).info("HTTP Request: GET https://api.vercel.com/v9/projects?teamId=team_1")
    logging.getLogger(f"{name}.child").debug("authorization: Bearer")
    assert log.text == ""
    logging.getLogger(name).warning("trouble")
    assert len(log.lines) == 1


HIDING_PLACES: list[dict[str, Any]] = [
    {"error": f"401 for Bearer {SECRET}"},
    {"authorization": "Bearer another"},
    {"read_token": "another"},
    {"Cookie": "another"},
    {"headers": {"Authorization": "another", "x": f"y{SECRET}z"}},
    {"errors": [f"first {SECRET}", ("second", SECRET)]},
    {"error": ValueError(SECRET)},
    {"raw": SECRET.encode()},
    {"deep": [{"list": [{"password": "another"}]}]},
]


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])
@pytest.mark.parametrize("keys", HIDING_PLACES, ids=lambda keys: next(iter(keys)))
def test_I_39_a_secret_is_redacted_by_its_key_and_by_its_value_wherever_it_hides(
    keys: dict[str, Any], as_json: bool
) -> None:
    log = Log(json=as_json)
    structlog.get_logger().info("action.sent", **keys)
    assert "[secret]" in log.text
    assert SECRET not in log.text
    assert "another" not in log.text


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])
def test_I_39_a_secret_in_the_event_itself_or_in_a_foreign_line_is_redacted(as_json: bool) -> None:
    log = Log(json=as_json)
    structlog.get_logger().info(f"oops {SECRET}")
    logging.getLogger("somebody").warning("url %s", f"https://x/?token={SECRET}")
    structlog.contextvars.bind_contextvars(bound=SECRET)
    structlog.get_logger().info("bound")
    assert SECRET not in log.text
    assert log.text.count("[secret]") == 3


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])
@pytest.mark.parametrize("is_foreign", [True, False], ids=["foreign", "own"])
def test_I_39_a_traceback_holds_neither_secrets_nor_local_variables(as_json: bool, is_foreign: bool) -> None:
    log = Log(json=as_json)
    try:
        fail(password=PASSWORDS[0])
    except ValueError as error:
        if is_foreign:
            logging.getLogger("somebody").exception("failed")
        else:
            structlog.get_logger().exception("bug.caught", error=repr(error))
    assert SECRET not in log.text
    assert "hunter2" not in log.text
    assert "a local with" not in log.text
    assert "ValueError: bad token [secret]" in log.text
    assert "test_log.py" in log.text


def test_a_long_field_is_cut_and_a_long_traceback_keeps_its_end() -> None:
    log = Log()
    structlog.get_logger().info("read.failed", error="x" * 2_000, longer="x" * 2_001)
    try:
        raise ValueError("y" * 20_000 + " the end")
    except ValueError:
        structlog.get_logger().exception("bug.caught")
    first, second = log.lines
    assert (first["error"], first["longer"]) == ("x" * 2_000, "x" * 2_000 + "…")
    assert second["exception"].endswith("the end")
    assert len(second["exception"]) == 8_001


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "text"])
def test_plain_values_stay_what_they_are(value: object) -> None:
    log = Log()
    structlog.get_logger().info("cycle.completed", value=value)
    assert log.lines[0]["value"] == value


def test_setting_up_twice_writes_each_line_once() -> None:
    Log()
    log = Log()
    structlog.get_logger().info("cycle.completed")
    assert len(log.lines) == 1


def test_the_level_can_change_while_it_runs() -> None:
    log = Log(level="warning")
    structlog.get_logger().info("one.said")
    set_level("info")
    structlog.get_logger().info("two.said")
    assert [line["event"] for line in log.lines] == ["two.said"]
