"""`lastgood demo`: the whole job on this machine alone, against an emulated Vercel."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console

from daemon.emulator.scenario_files import ScenarioError


def demo(
    scenario: Annotated[
        str, typer.Option(help="What happens: a built-in scenario of the emulator.")
    ] = "bad-deployment",
    clock_factor: Annotated[float, typer.Option(min=1, max=30, help="Seconds of the demo per real second.")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the outcome, for machines.")] = False,  # noqa: FBT002
) -> None:
    """Let a bad deployment go out to an emulated production, and watch it being caught, rolled back and verified.

    Emulator and daemon run as in production: real HTTP on the loopback interface, a real SQLite file, only faster.
    Exits with 0 only if production stands on the good deployment and the recovery was verified.
    """
    # Imported late: `lastgood --help` should not wait for the whole daemon.
    from daemon.cli.demo_show import show  # noqa: PLC0415
    from daemon.cli.demo_view import print_outcome  # noqa: PLC0415

    console = Console(quiet=as_json, highlight=False)
    try:
        outcome = asyncio.run(show(scenario, clock_factor=clock_factor, console=console))
    except ScenarioError as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(json.dumps(outcome.as_json(), indent=2))
    else:
        print_outcome(console, outcome)
    raise typer.Exit(0 if outcome.is_good else 1)
