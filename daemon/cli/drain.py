"""`lastgood drain`: the receiver of log drains as a process of its own, beside the daemon."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.config import CONFIG_DEFAULT, CONFIG_HELP, load_or_exit


def drain(
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP)
    ] = CONFIG_DEFAULT,
) -> None:
    """Receive log drains for the daemon, on a core of their own. Runs until SIGTERM."""
    # Imported late: `lastgood --help` should not wait for the whole receiver.
    from daemon.cli.drain_serve import serve  # noqa: PLC0415
    from daemon.ports.errors import PortError  # noqa: PLC0415
    from daemon.runtime.clock import SystemClock  # noqa: PLC0415
    from daemon.telemetry.log import set_up_logging  # noqa: PLC0415
    from daemon.web.drain.secrets import SecretFiles  # noqa: PLC0415

    settings = load_or_exit(config)
    if settings.drain.runs_inside or not settings.drain.secret_files:
        what_now = "name the drains' secret files in drain.secret_files, and write drain.runs_inside: false"
        typer.echo(f"lastgood: no receiver of its own is configured; {what_now}", err=True)
        raise typer.Exit(2)
    secrets = SecretFiles(settings.drain.secret_files)
    set_up_logging(level=settings.log.level, json=settings.log.format == "json", secrets=secrets.texts)
    try:
        asyncio.run(serve(settings.drain, settings.store.path, secrets, clock=SystemClock()))
    except PortError as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(1) from error
