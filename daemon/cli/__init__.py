"""The `lastgood` command: one file a subcommand; each parses, calls and prints, and holds no logic."""

import typer

from daemon import __version__
from daemon.cli import (
    backtest,
    certify,
    check_config,
    decide,
    demo,
    doctor,
    drain,
    emulator,
    explain,
    operate,
    record,
    run,
    status,
)

app = typer.Typer(
    name="lastgood",
    help="Takes a Vercel project's production back to the last good deployment, and proves that it helped.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - the signature that typer calls
    if asked:
        typer.echo(f"lastgood {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: bool = typer.Option(  # noqa: FBT001 - an option, never positional
        False,  # noqa: FBT003
        "--version",
        help="Print the version and exit.",
        callback=_print_version,
        is_eager=True,
    ),
) -> None:
    """Start here: `lastgood demo` shows the whole job on this machine alone."""


app.command("run")(run.run)
app.command("check-config")(check_config.check_config)
app.command("doctor")(doctor.doctor)
app.command("status")(status.status)
app.command("explain")(explain.explain)
app.command("backtest")(backtest.backtest)
app.command("record")(record.record)
app.command("certify")(certify.certify)
app.command("decide")(decide.decide)
app.command("demo")(demo.demo)
app.command("emulator")(emulator.emulator)
app.command("drain")(drain.drain)
app.command("pause")(operate.pause)
app.command("resume")(operate.resume)
app.command("approve")(operate.approve)
app.command("reject")(operate.reject)
app.command("ack")(operate.ack)


def main() -> None:
    """Run the command line."""
    app()
