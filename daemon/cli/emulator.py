"""`lastgood emulator`: a Vercel on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from daemon.emulator.scenario_files import ScenarioError
from daemon.emulator.server import run


def emulator(
    scenario: Annotated[
        str, typer.Option("--scenario", help="A built-in scenario's name, or a YAML file.")
    ] = "bad-deployment",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on the loopback interface; 0 lets the system choose.")
    ] = 4455,
    generate: Annotated[
        Path | None, typer.Option(help="A YAML file that describes a fleet of projects, in place of a scenario.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Write what really fails, and since when, to this file.")] = None,
    clock_factor: Annotated[float, typer.Option(min=0.001, max=1000.0, help="Emulated seconds per real second.")] = 1.0,
) -> None:
    """Serve an emulated Vercel team on the loopback interface until interrupted."""
    try:
        run(
            scenario,
            port=port,
            clock_factor=clock_factor,
            generate=generate,
            labels=labels,
            announce=typer.echo,
        )
    except (ScenarioError, OSError) as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(2) from error
