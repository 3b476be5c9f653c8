"""Every log event and every metric is documented, and nothing is documented that does not exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import TREE, python_files, source, syntax_tree

EVENTS = Path("docs/events.md")
METRICS = Path("docs/metrics.md")
METRICS_SOURCE = Path("daemon/telemetry/metrics.py")
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
_LOGGERS = {"log", "_log", "logger", "_logger"}
_EVENT_NAME = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")
_METRIC_NAME = re.compile(r"lastgood_[a-z0-9_]+")
_METRIC_KINDS = {"Counter", "Gauge", "Histogram", "Summary", "Info"}
_SERIES_SUFFIX = re.compile(r"_(bucket|sum|count|created)$")


def logged_events(tree: ast.Module) -> Iterator[tuple[int, str | None]]:
    """Yield line and event name of each log call; the name is None when it is put together at run time."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LEVELS):
            continue
        logger = ast.unparse(node.func.value).rpartition(".")[2]
        if logger not in _LOGGERS or not node.args:
            continue
        event = node.args[0]
        if isinstance(event, ast.Constant) and isinstance(event.value, str):
            yield node.lineno, event.value
        elif isinstance(event, ast.JoinedStr | ast.BinOp):
            yield node.lineno, None


def declared_metrics(tree: ast.Module) -> Iterator[str]:
    """Yield the name of each metric as Prometheus shows it: with the prefix, and `_total` on a counter."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        kind = ast.unparse(node.func).rpartition(".")[2]
        names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        texts = [name for name in names if isinstance(name, str)]
        if kind not in _METRIC_KINDS or not texts:
            continue
        name = f"lastgood_{texts[0].removeprefix('lastgood_')}"
        suffix = {"Counter": "_total", "Info": "_info"}.get(kind, "")
        yield name if name.endswith(suffix) else name + suffix


def _documented(file: Path, name: re.Pattern[str]) -> set[str]:
    """Return the names that stand in backticks at the start of a table row or a heading."""
    rows = re.findall(r"^(?:\| *|#+ +|[-*] +)`([^`{]+)", source(file), flags=re.MULTILINE)
    return {row.strip() for row in rows if name.fullmatch(row.strip())}


def _events_in_code() -> dict[str | None, str]:
    return {
        event: f"{file}:{line}" for file in python_files("daemon") for line, event in logged_events(syntax_tree(file))
    }


def test_log_events_are_fixed_names_of_the_form_noun_past_verb() -> None:
    events = _events_in_code()
    broken = {event: where for event, where in events.items() if event is None or not _EVENT_NAME.fullmatch(event)}
    assert not broken


@pytest.mark.skipif(not (TREE / EVENTS).is_file(), reason="docs/events.md is missing; write it")
def test_every_log_event_is_documented_and_no_other() -> None:
    in_code, documented = _events_in_code(), _documented(EVENTS, _EVENT_NAME)
    assert not in_code.keys() - documented, "logged, but not in docs/events.md"
    assert not documented - in_code.keys(), "in docs/events.md, but never logged"


@pytest.mark.skipif(not (TREE / METRICS).is_file(), reason="docs/metrics.md is missing; write it")
def test_every_metric_is_documented_and_no_other() -> None:
    declared = set(declared_metrics(syntax_tree(METRICS_SOURCE)))
    documented = {_SERIES_SUFFIX.sub("", name) for name in _documented(METRICS, _METRIC_NAME)}
    assert declared, f"{METRICS_SOURCE} declares no metric that this test can read"
    assert not declared - documented, "declared, but not in docs/metrics.md"
    assert not documented - declared, "in docs/metrics.md, but never declared"


def test_an_event_name_put_together_at_run_time_is_found() -> None:
    planted = ast.parse("log.info(f'action.{verb}')\nself._log.warning('lease.lost', token=1)\nmath.log.info\n")
    assert list(logged_events(planted)) == [(1, None), (2, "lease.lost")]


def test_metric_names_are_read_as_prometheus_shows_them() -> None:
    planted = ast.parse("Counter('lastgood_actions', 'help')\nprom.Gauge('leader', 'help')\nInfo('build', 'help')\n")
    assert list(declared_metrics(planted)) == ["lastgood_actions_total", "lastgood_leader", "lastgood_build_info"]
