"""A pytest plugin under which, with `LASTGOOD_REQUIRE_ALL=1`, a skip that no file allows fails the run.

A skipped test looks green, so a part that is missing in CI would silently take its promises with it. What a kind of
machine truly cannot do stands in `.ci/allowed-skips.txt`, one line each: `node id pattern | reason`.
"""

import fnmatch
import os
from pathlib import Path

import pytest

REQUIRE_ALL = "LASTGOOD_REQUIRE_ALL"
ALLOWED_SKIPS = Path(".ci") / "allowed-skips.txt"


def read_allowed_skips(text: str) -> dict[str, str]:
    """Return node id patterns and why each is allowed; raise ValueError on a line without a reason."""
    allowed = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        # A node id may hold a `|` inside its parameters, a reason needs none: split at the last one.
        pattern, _, reason = (part.strip() for part in line.rpartition("|"))
        if not pattern or not reason:
            raise ValueError(f"line {number} of {ALLOWED_SKIPS}: write `node id pattern | reason`, not {line!r}")
        allowed[pattern] = reason
    return allowed


def is_allowed(node_id: str, patterns: dict[str, str]) -> bool:
    """Tell whether a pattern names *node_id*; brackets in a pattern are literal, only `*` and `?` are wild."""
    return any(fnmatch.fnmatchcase(node_id, pattern.replace("[", "[[]")) for pattern in patterns)


class SkipWatch:
    """Collects refused skips from the reports; under xdist only the controller counts, as it sees every report."""

    def __init__(self, allowed: dict[str, str]) -> None:
        self.allowed = allowed
        self.refused: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._look_at(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._look_at(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refused and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.refused:
            return
        terminalreporter.section(f"{REQUIRE_ALL}=1 refuses {len(self.refused)} skips", red=True, bold=True)
        for node_id, reason in sorted(self.refused.items()):
            terminalreporter.line(f"REFUSED SKIP {node_id}: {reason}")
        terminalreporter.line(f"Install the part, or name the test and the reason in {ALLOWED_SKIPS}.")

    def _look_at(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and not is_allowed(report.nodeid, self.allowed):
            self.refused[report.nodeid] = report.longrepr[2] if isinstance(report.longrepr, tuple) else "no reason"


def pytest_configure(config: pytest.Config) -> None:
    """Watch the skips where everything is required; an xdist worker leaves that to its controller."""
    if os.environ.get(REQUIRE_ALL) != "1" or hasattr(config, "workerinput"):
        return
    file = config.rootpath / ALLOWED_SKIPS
    allowed = read_allowed_skips(file.read_text(encoding="utf-8")) if file.is_file() else {}
    config.pluginmanager.register(SkipWatch(allowed), "lastgood-skip-watch")
