"""`lastgood record`: writes what was counted and what served, as a history that can be shared."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from daemon.backtest.anonymise import Anonymiser
from daemon.backtest.history import Header, HistoryError, Ids, Origin, ProjectHistory, Times
from daemon.backtest.lines import end_line, header_line, project_lines
from daemon.backtest.running import journal_histories
from daemon.cli.config import CONFIG_DEFAULT, CONFIG_HELP, load_or_exit
from daemon.ports.errors import PortError
from daemon.runtime.clock import RandomIds, SystemClock
from daemon.settings.duration import EXAMPLES, parse_duration

FROM_HELP = "How far back to go, such as 30d or 12h."
PROJECT_HELP = "Only projects whose id or name matches this shell pattern."
PULL_HELP = "Pull counts back from each project's first source that keeps them, in place of reading the journal."


def record(
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP)
    ] = CONFIG_DEFAULT,
    from_: Annotated[str, typer.Option("--from", help=FROM_HELP)] = "30d",
    project: Annotated[str, typer.Option(help=PROJECT_HELP)] = "*",
    names: Annotated[  # noqa: FBT002 - an option, never positional
        bool, typer.Option("--names/--anonymise", help="Keep ids and days; by default both are replaced.")
    ] = False,
    pull: Annotated[bool, typer.Option("--pull", help=PULL_HELP)] = False,  # noqa: FBT002
) -> None:
    """Write recorded history to standard output, one JSON object a line, under pseudonyms unless asked otherwise."""
    length = parse_length(from_, "--from")
    settings = load_or_exit(config, checks_tokens=pull)
    clock = SystemClock()
    since = clock.now() - length
    if pull:
        # Imported late: it brings the whole daemon.
        from daemon.backtest.pulling import pull_histories  # noqa: PLC0415

        histories = pull_histories(settings, clock, project=project, since=since, tell=tell_aside)
    else:
        histories = journal_histories(settings, project=project, since=since)
    header = Header(Origin.SOURCE if pull else Origin.JOURNAL, *(() if names else (Ids.PSEUDONYMS, Times.SHIFTED)))
    anonymiser = None if names else Anonymiser(RandomIds().fresh("salt").encode(), since)
    try:
        projects = asyncio.run(_write(header, histories, anonymiser))
    except (HistoryError, PortError) as error:
        tell_aside(f"lastgood: {error}")
        raise typer.Exit(2) from error
    kept = "ids and days are real" if names else "ids are pseudonyms of this export alone, days are shifted"
    tell_aside(f"projects recorded since {since:%Y-%m-%d %H:%M} UTC: {projects}; {kept}")


async def _write(header: Header, histories: AsyncIterator[ProjectHistory], anonymiser: Anonymiser | None) -> int:
    typer.echo(header_line(header))
    projects = 0
    async for history in histories:
        for line in project_lines(anonymiser.apply(history) if anonymiser else history):
            typer.echo(line)
        projects += 1
    typer.echo(end_line(projects))
    return projects


def parse_length(text: str, option: str) -> timedelta:
    """Return the length of time that an *option* says; anything else is a mistake of the command line."""
    length = parse_duration(text)
    if length is None or length <= timedelta(0):
        raise typer.BadParameter(f"{text!r} is no length of time; write one such as {EXAMPLES}", param_hint=option)
    return length


def tell_aside(sentence: str) -> None:
    """Say something that is no part of the output."""
    typer.echo(sentence, err=True)
