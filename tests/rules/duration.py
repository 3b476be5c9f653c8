"""A pytest plugin that lists tests over a quarter of a second which are not marked `slow` or `proof`.

Machines differ, so the list is a warning; only eight times the limit, and only where everything is required, fails
the run.
"""

import os

import pytest

LIMIT_SECONDS = 0.25
REFUSED_SECONDS = 2.0


class DurationWatch:
    """Collects unmarked slow tests from the reports; under xdist only the controller counts."""

    def __init__(self, *, refuses: bool) -> None:
        self.refuses = refuses
        self.over: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        is_marked = "slow" in report.keywords or "proof" in report.keywords
        if report.when == "call" and report.duration > LIMIT_SECONDS and not is_marked:
            self.over[report.nodeid] = report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refuses and self._refused() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.over:
            return
        terminalreporter.section(f"tests over {LIMIT_SECONDS} s that are not marked slow", yellow=True)
        for node_id, seconds in sorted(self.over.items(), key=lambda entry: -entry[1]):
            refused = "REFUSED " if self.refuses and seconds > REFUSED_SECONDS else ""
            terminalreporter.line(f"{refused}{seconds:6.2f} s  {node_id}")

    def _refused(self) -> list[str]:
        return [node_id for node_id, seconds in self.over.items() if seconds > REFUSED_SECONDS]


def pytest_configure(config: pytest.Config) -> None:
    """Watch the durations; an xdist worker leaves that to its controller."""
    if hasattr(config, "workerinput"):
        return
    refuses = os.environ.get("LASTGOOD_REQUIRE_ALL") == "1"
    config.pluginmanager.register(DurationWatch(refuses=refuses), "lastgood-duration-watch")
