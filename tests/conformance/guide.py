"""Somebody with one CLI who follows Vercel's guide "Rolling back a production deployment", in the words that it has.

Time passes at once for both: the emulator's clock and the CLI's are put ahead together.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from daemon.emulator import WallClock
from daemon.emulator.counts import Request
from tests.conformance.stage import Stage
from tests.conformance.vercel_cli import CliRun
from tests.requires import VERCEL_CLI_VERSION

OLD = "58.4.4"
GUIDE_WORLD = Path(__file__).with_name("guide.yaml")
BROKEN_ROUTE = "/affected-route"
BYPASS_SECRET = "BYPASSSECRET0000000000000000000"
_AHEAD = Path(__file__).with_name("ahead.cjs")
_VISITS = 24
_SCRIPT = """#!{python}
# Exit code 0: good; any other: bad. The route fails for half of its visitors, so it is visited often.
import http.client, os, sys, urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
headers = {{"Host": url.netloc, "x-vercel-protection-bypass": os.environ["VERCEL_AUTOMATION_BYPASS_SECRET"]}}
connection = http.client.HTTPConnection("127.0.0.1", {port})
for _ in range({visits}):
    connection.request("GET", url.path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status >= 500:
        sys.exit(1)
"""


class AheadClock(WallClock):
    """Real time, ahead by as much as a test has let pass."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ms = 0

    def now_ms(self) -> int:
        """Return the instant in milliseconds since the Unix epoch."""
        return super().now_ms() + self.ahead_ms


@dataclass(frozen=True)
class Guide:
    """Somebody with one CLI who follows the guide."""

    stage: Stage
    clock: AheadClock
    version: str

    @property
    def speaks_as_the_guide(self) -> bool:
        """Tell whether this CLI still has the words of the guide's `vercel logs`."""
        return self.version != VERCEL_CLI_VERSION

    async def vercel(self, *arguments: str) -> CliRun:
        """Run the CLI at the world's time."""
        environment = {
            "NODE_OPTIONS": f"--require {_AHEAD}",
            "CLOCK_AHEAD_MS": str(self.clock.ahead_ms),
            "VERCEL_AUTOMATION_BYPASS_SECRET": BYPASS_SECRET,
        }
        return await replace(self.stage.cli, version=self.version, more_environment=environment).run(*arguments)

    async def succeeding(self, *arguments: str) -> CliRun:
        """Run the CLI; an AssertionError says what it said if it fails."""
        run = await self.vercel(*arguments)
        assert run.exit_code == 0, f"vercel {' '.join(arguments)}: {run.stdout}{run.stderr}"
        return run

    async def production_errors(self, *, since: str) -> list[str]:
        """Return a line for each of production's errors that `vercel logs` prints, in the words that the CLI has."""
        if self.speaks_as_the_guide:
            words = ("--environment", "production", "--status-code", "5xx", "--since", since, "--limit", "1000")
            return _printed(await self.succeeding("logs", *words))
        query = ("--query", "httpStatus >= 500 AND httpStatus < 600")
        words = ("--environment", "production", *query, "--since", since, "--limit", "1000")
        return _printed(await self.succeeding("logs", "requests", *words))

    async def logged_errors(self, deployment_id: str) -> list[str]:
        """Return a line for each error that a deployment logged, in the words that the CLI has."""
        words = ("--level", "error", "--expand") if self.speaks_as_the_guide else ("--query", "level:error")
        return _printed(await self.succeeding("logs", "--deployment", deployment_id, *words, "--since", "1h"))

    def happened(self, *, since_ms: int) -> list[Request]:
        """Return what production's visitors requested since, by the world's own rows."""
        traffic = self.stage.world.traffic_of(self.stage.project)
        rows = traffic.counts.newest_rows(from_ms=since_ms, until_ms=traffic.generated_to_ms)
        return [row for row in rows if row.key.environment == "production"]

    def failed(self, *, since_ms: int) -> list[Request]:
        """Return what of that was answered with 5xx."""
        return [row for row in self.happened(since_ms=since_ms) if row.key.http_status >= 500]

    def pass_minutes(self, minutes: float) -> int:
        """Let time pass for everybody; return the instant from which on it passed."""
        before = self.stage.world.advance()
        self.clock.ahead_ms += round(minutes * 60_000)
        self.stage.world.advance()
        return before

    async def visit(self, path: str) -> tuple[int, str]:
        """Visit the site at its own domain; return status and text."""
        async with httpx.AsyncClient(base_url=self.stage.cli.api_url) as visitor:
            answer = await visitor.get(path, headers={"host": "www.example.com"})
        return answer.status_code, answer.text

    def write_script(self, name: str) -> None:
        """Put the test script of the guide's bisect into the folder in which the CLI runs."""
        port = int(self.stage.cli.api_url.rpartition(":")[2])
        script = (self.stage.cli.folder or self.stage.cli.home) / name
        script.write_text(_SCRIPT.format(python=sys.executable, port=port, visits=_VISITS))
        script.chmod(0o755)


def _printed(run: CliRun) -> list[str]:
    """Return the lines of a log that name an error: CLI 64.0.2 prints them on stdout, 58.4.4 on stderr."""
    return [line for line in (run.stdout + run.stderr).splitlines() if BROKEN_ROUTE in line or "TypeError" in line]
