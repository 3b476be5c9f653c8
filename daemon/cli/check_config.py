"""`lastgood check-config`: says whether a configuration holds, and what each project would get from it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.config import CONFIG_HELP
from daemon.cli.history import lint_by_history
from daemon.settings import ConfigError, Settings, load

HEADINGS = ("project", "posture", "sources", "detectors", "policy")


def check_config(
    file: Annotated[Path | None, typer.Argument(help=CONFIG_HELP, show_default=False)] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP, show_default=False)
    ] = None,
    tokens: Annotated[  # noqa: FBT002 - an option, never positional
        bool, typer.Option("--tokens/--no-tokens", help="Ask whether the tokens are there, too.")
    ] = True,
    history: Annotated[  # noqa: FBT002 - an option, never positional
        bool, typer.Option("--history", help="Hold the thresholds against the traffic that the daemon remembers, too.")
    ] = False,
) -> None:
    """Check a configuration without starting anything: exit 0 when it holds, 2 with every mistake when not."""
    path = file or config
    if path is None:
        raise typer.BadParameter("name the configuration file", param_hint="FILE")
    raise typer.Exit(check(path, checks_tokens=tokens, with_history=history))


def check(path: Path, *, checks_tokens: bool = True, with_history: bool = False) -> int:
    """Print mistakes, or warnings and a table of the projects; return the exit status, 2 or 0."""
    try:
        loaded = load(path, os.environ, checks_tokens=checks_tokens)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        return 2
    by_history, notes = lint_by_history(loaded) if with_history else ([], [])
    warnings = [*loaded.warnings, *by_history]
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    matching = sum(one.match is not None for one in loaded.settings.projects)
    counts = [_count(len(loaded.settings.projects) - matching, "project")]
    counts += [_count(matching, "pattern")] if matching else []
    counts += [_count(len(warnings), "warning")] if warnings else []
    typer.echo(f"ok: {', '.join(counts)}\n")
    for line in table([HEADINGS, *_rows(loaded.settings)]):
        typer.echo(line)
    return 0


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield *rows* as lines with columns as wide as their widest cell, however wide the terminal is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _rows(settings: Settings) -> Iterator[tuple[str, ...]]:
    for project in settings.projects:
        sources = ", ".join(one.kind for one in project.sources)
        detectors = ", ".join(one.kind for one in project.detectors)
        yield project.label, project.posture.value, sources, detectors, settings.policy_for(project).digest


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
