"""`lastgood run` on a faster clock: `python -m tests.integration.scaled_daemon CONFIG FACTOR EPOCH STARTED`.

EPOCH (seconds since 1970) is what the clock showed when the monotonic clock of this machine showed STARTED seconds, so
that an emulator in another process can share it. The product itself has no such switch.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from daemon import bootstrap
from daemon.runtime.clock import ScaledClock
from daemon.settings import load_settings
from daemon.telemetry.log import set_up_logging


def main(config: str, factor: str, epoch: str, started: str) -> None:
    settings = load_settings(Path(config), os.environ)
    set_up_logging(level=settings.log.level, json=True)
    clock = ScaledClock(float(factor), epoch=datetime.fromtimestamp(float(epoch), UTC), started=float(started))
    asyncio.run(bootstrap.run(settings, clock=clock, clock_factor=float(factor)))


if __name__ == "__main__":
    main(*sys.argv[1:])
