"""Daemon processes: how they come to be, what they wrote, and their end."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.runtime.clock import SystemClock
from tests.integration.crash.launcher import Commit

TREE = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 60.0
"""Real time after which a test that waits gives up."""
LOOK_EVERY_SECONDS = 0.01


@dataclass(slots=True)
class Daemon:
    """One daemon process, and the files that it writes."""

    process: subprocess.Popen[bytes]
    record: Path
    log: Path

    @property
    def commits(self) -> list[Commit]:
        """Return what became durable by this process."""
        lines = self.record.read_bytes().splitlines(keepends=True) if self.record.exists() else []
        return [Commit(**json.loads(line)) for line in lines if line.endswith(b"\n")]

    @property
    def has_ended_incident(self) -> bool:
        """Tell whether the newest state that it saved knows of an ended incident and of no live one."""
        states = [one for one in self.commits if one.is_state]
        return bool(states) and states[-1].ended != "" and not states[-1].incident

    @property
    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self.process.poll() is None

    @property
    def is_stopped(self) -> bool:
        """Tell whether the process was stopped by SIGSTOP."""
        status = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        return status.rpartition(")")[2].split()[0] == "T"

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return what it logged under *event*."""
        found = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines() if line[:1] == "{"]
        return [line for line in found if line.get("event") == event]

    def kill(self) -> None:
        """Kill the process as `kill -9` does, and wait until it is dead."""
        self.process.kill()
        self.process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


def new_process(folder: Path, number: int) -> subprocess.Popen[bytes]:
    """Start a launcher; it imports everything and then waits for its orders."""
    folder.mkdir(exist_ok=True)
    log = folder / f"log-{os.getpid()}-{number}"
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.crash.launcher", str(log)],
            cwd=TREE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
        )


def log_of(process: subprocess.Popen[bytes]) -> Path:
    """Return the file that holds what a launcher writes to standard error."""
    assert isinstance(process.args, list)
    return Path(str(process.args[-1]))


async def wait_ready(process: subprocess.Popen[bytes]) -> None:
    """Wait until a launcher can be ordered; an AssertionError shows why it cannot."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    real = SystemClock()
    ends_at = real.monotonic() + PATIENCE_SECONDS
    while not (said := process.stdout.readline()):
        assert process.poll() is None, f"the launcher ended with {process.returncode}: {log_of(process).read_text()}"
        assert real.monotonic() < ends_at, "the launcher is not ready"
        await real.sleep(LOOK_EVERY_SECONDS)
    assert said == b"ready\n", said


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that still lives and close its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
