"""`lastgood doctor`: looks at everything that the daemon would depend on, and says what to do."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.cli.config import CONFIG_DEFAULT, CONFIG_HELP, load_or_exit, tokens_of
from daemon.doctor.line import Line, State

_COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "bold red", State.SKIP: "dim"}


def doctor(
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP)
    ] = CONFIG_DEFAULT,
    project: Annotated[
        str | None, typer.Option(help="Look at this project alone, by name or id.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,  # noqa: FBT002
) -> None:
    """Look at tokens, projects, sources and receivers, change nothing, and say what to do: exit 1 when a line fails."""
    # Imported late: `lastgood --help` should not wait for the whole daemon.
    from daemon.doctor import UnknownProject, examine  # noqa: PLC0415
    from daemon.runtime.clock import SystemClock  # noqa: PLC0415
    from daemon.telemetry.log import set_up_logging  # noqa: PLC0415

    settings = load_or_exit(config, checks_tokens=True)
    # The lines say all that there is; what the adapters log is for a daemon that runs.
    set_up_logging(level="error", json=False, secrets=tokens_of(settings))
    try:
        report = asyncio.run(examine(settings, clock=SystemClock(), only=project))
    except UnknownProject as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(
            json.dumps({"ok": not report.has_failed, "lines": [asdict(line) for line in report.lines]}, indent=2)
        )
    else:
        _print_lines(report.lines)
    raise typer.Exit(1 if report.has_failed else 0)


def _print_lines(lines: Sequence[Line]) -> None:
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if console.is_terminal:
        console.print(_table(lines))
    else:
        for line in plain(lines):
            typer.echo(line)
    counts = [f"{sum(line.state is state for line in lines)} {state}" for state in State]
    typer.echo(", ".join(counts))


def _table(lines: Sequence[Line]) -> Table:
    table = Table("project", "check", "state", "what was found, and what to do")
    group = None
    for line in lines:
        if group not in (None, line.group):
            table.add_section()
        said = Text(line.found)
        if line.remedy:
            said.append(f"\n-> {line.remedy}", style=_COLOURS[line.state])
        table.add_row(
            line.group if line.group != group else "", line.name, Text(line.state, _COLOURS[line.state]), said
        )
        group = line.group
    return table


def plain(lines: Sequence[Line]) -> Sequence[str]:
    """Return one line of text for each check, whole however wide the terminal is: for pipes and logs."""
    heads = [(line.group, line.name, line.state.value) for line in lines]
    widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
    texts = [f"{line.found} -> {line.remedy}" if line.remedy else line.found for line in lines]
    return [
        "  ".join((*(cell.ljust(width) for cell, width in zip(head, widths, strict=True)), text))
        for head, text in zip(heads, texts, strict=True)
    ]
