"""`lastgood run`: the daemon itself."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.config import CONFIG_HELP, loaded_or_exit, tokens_of


def run(
    config: Annotated[Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP)],
) -> None:
    """Watch production and, where the posture allows it, roll it back. Runs until SIGTERM.

    When the configuration file changes, or on SIGHUP, it is put in force, as a whole or not at all.
    """
    # Imported late: `lastgood --help` should not wait for the whole daemon.
    from daemon import bootstrap  # noqa: PLC0415
    from daemon.ports.errors import PortError  # noqa: PLC0415
    from daemon.runtime.clock import SystemClock  # noqa: PLC0415
    from daemon.telemetry.log import set_up_logging  # noqa: PLC0415

    loaded = loaded_or_exit(config, checks_tokens=True)
    settings, file = loaded.settings, bootstrap.ConfigFile(config, os.environ, loaded)
    set_up_logging(level=settings.log.level, json=settings.log.format == "json", secrets=tokens_of(settings))
    try:
        asyncio.run(bootstrap.run(settings, clock=SystemClock(), file=file))
    except PortError as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(1) from error
