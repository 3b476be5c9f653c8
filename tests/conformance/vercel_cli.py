"""The real Vercel CLI as a subprocess that speaks to a server of the test's own, in an environment without a past."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.requires import VERCEL_CLI_VERSION, vercel_cli_command

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

    ``home`` is the folder that it takes for its HOME, which should be empty, and runs in unless there is a ``folder``.
    ``programs`` is searched for programs before any other folder. ``organization_id`` and ``project_id`` stand for the
    link that `vercel link` would have written; None leaves the CLI without one.
    """

    api_url: str
    token: str
    home: Path
    folder: Path | None = None
    programs: Path | None = None
    organization_id: str | None = None
    project_id: str | None = None
    version: str = VERCEL_CLI_VERSION
    more_environment: Mapping[str, str] = field(default_factory=dict)

    async def run(self, *arguments: str) -> CliRun:
        """Run the CLI with *arguments* and an empty stdin until it ends; after a minute it is killed (TimeoutError)."""
        async with self.started(*arguments) as process:
            stdout, stderr = await asyncio.wait_for(process.communicate(), RUN_SECONDS_MAX)
        assert process.returncode is not None
        return CliRun(arguments, process.returncode, stdout.decode(), stderr.decode())

    async def run_until(self, stop_word: str, *arguments: str) -> CliRun:
        """Run a CLI that never ends by itself until *stop_word* appears on its stderr, then kill it.

        Its exit code is then that of the signal, below 0. TimeoutError after a minute without the word.
        """
        async with self.started(*arguments) as process:
            assert process.stderr is not None
            assert process.stdout is not None
            stderr = await asyncio.wait_for(process.stderr.readuntil(stop_word.encode()), RUN_SECONDS_MAX)
            stderr += await process.stderr.readline()
            process.kill()
            # What it printed until then waits in the pipe, which holds more than such a run prints.
            stdout = await process.stdout.read()
        return CliRun(arguments, await process.wait(), stdout.decode(), stderr.decode())

    @contextlib.asynccontextmanager
    async def started(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start the CLI with *arguments*, and kill it in the end if it still runs."""
        process = await asyncio.create_subprocess_exec(
            *vercel_cli_command(self.version),
            *arguments,
            "--api",
            self.api_url,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder or self.home,
            env=self._environment(),
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _environment(self) -> dict[str, str]:
        link = {"VERCEL_ORG_ID": self.organization_id, "VERCEL_PROJECT_ID": self.project_id}
        node = shutil.which("node")
        assert node is not None, "node is missing: the mark requires_vercel_cli should have skipped this test"
        return {
            "PATH": os.pathsep.join(
                [*([str(self.programs)] if self.programs else []), str(Path(node).parent), os.defpath]
            ),
            "HOME": str(self.home),
            "TZ": "UTC",
            "CI": "1",
            "NO_COLOR": "1",
            "NO_UPDATE_NOTIFIER": "1",
            "VERCEL_TELEMETRY_DISABLED": "1",
            "VERCEL_CLI_USE_NATIVE_BINARY": "0",
            "VERCEL_TOKEN": self.token,
            **{name: value for name, value in link.items() if value is not None},
            **self.more_environment,
        }
