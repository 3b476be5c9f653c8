"""The real Vercel CLI as a subprocess that speaks to a server of the test's own, in an environment without a past."""

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.requires import vercel_cli_command

RUN_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class CliRun:
    """What one run of the CLI left behind."""

    arguments: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class VercelCli:
    """The CLI, told by its flags and environment alone whom to ask and about what.

    ``home`` is the folder it runs in and takes for its HOME; it should be empty. ``organization_id`` and ``project_id``
    stand for the link that `vercel link` would have written; None leaves the CLI without one.
    """

    api_url: str
    token: str
    home: Path
    organization_id: str | None = None
    project_id: str | None = None

    async def run(self, *arguments: str) -> CliRun:
        """Run the CLI with *arguments* and an empty stdin until it ends; after a minute it is killed (TimeoutError)."""
        process = await asyncio.create_subprocess_exec(
            *vercel_cli_command(),
            *arguments,
            "--api",
            self.api_url,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.home,
            env=self._environment(),
        )
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(), RUN_SECONDS_MAX)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return CliRun(arguments, process.returncode, stdout.decode(), stderr.decode())

    def _environment(self) -> dict[str, str]:
        link = {"VERCEL_ORG_ID": self.organization_id, "VERCEL_PROJECT_ID": self.project_id}
        node = shutil.which("node")
        assert node is not None, "node is missing: the mark requires_vercel_cli should have skipped this test"
        return {
            "PATH": f"{Path(node).parent}{os.pathsep}{os.defpath}",
            "HOME": str(self.home),
            "TZ": "UTC",
            "CI": "1",
            "NO_COLOR": "1",
            "NO_UPDATE_NOTIFIER": "1",
            "VERCEL_TELEMETRY_DISABLED": "1",
            "VERCEL_CLI_USE_NATIVE_BINARY": "0",
            "VERCEL_TOKEN": self.token,
            **{name: value for name, value in link.items() if value is not None},
        }
