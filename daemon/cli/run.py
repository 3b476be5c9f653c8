"""`lastgood run`: the daemon itself."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.config import CONFIG_HELP, load_or_exit, tokens_of


def run(
    config: Annotated[Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP)],
) -> None:
    """Watch production and, where the posture allows it, roll it back. Runs until SIGTERM."""
    # Imported late: `lastgood --help` should not wait for the whole daemon.
    from daemon import bootstrap  # noqa: PLC0415
    from daemon.ports.errors import PortError  # noqa: PLC0415
    from daemon.runtime.clock import SystemClock  # noqa: PLC0415
    from daemon.telemetry.log import set_up_logging  # noqa: PLC0415

    settings = load_or_exit(config, checks_tokens=True)
    set_up_logging(level=settings.log.level, json=settings.log.format == "json", secrets=tokens_of(settings))
    try:
        asyncio.run(bootstrap.run(settings, clock=SystemClock()))
    except PortError as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(1) from error
