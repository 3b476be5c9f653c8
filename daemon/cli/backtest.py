"""`lastgood backtest`: what another policy would have done with what is on record. It acts on nothing."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from daemon.backtest.compare import Comparison
from daemon.backtest.history import HistoryError
from daemon.backtest.labels import read_labels
from daemon.backtest.report import Report, document, tell
from daemon.backtest.running import Trial, try_on, try_on_file, try_on_journal
from daemon.cli.config import CONFIG_DEFAULT, load_or_exit
from daemon.cli.record import FROM_HELP, PROJECT_HELP, PULL_HELP, parse_length, tell_aside
from daemon.ports.errors import PortError
from daemon.runtime.clock import SystemClock

_POLICY_HELP = "The configuration to try, as it would be deployed; of it the policies are taken."


def backtest(
    *,
    policy: Annotated[Path, typer.Option(help=_POLICY_HELP)],
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help="Today's configuration.")
    ] = CONFIG_DEFAULT,
    from_: Annotated[str, typer.Option("--from", help=FROM_HELP)] = "30d",
    history: Annotated[
        Path | None, typer.Option(help="Take all history in this file of `lastgood record`.", show_default=False)
    ] = None,
    pull: Annotated[bool, typer.Option("--pull", help=PULL_HELP)] = False,
    labels: Annotated[
        Path | None, typer.Option(help="JSON file of what really failed, to compare with.", show_default=False)
    ] = None,
    project: Annotated[str, typer.Option(help=PROJECT_HELP)] = "*",
    lag: Annotated[
        str | None, typer.Option(help="Read counts so long after their end, not as recorded.", show_default=False)
    ] = None,
    fail_on_new: Annotated[
        bool, typer.Option("--fail-on-new", help="Exit 1 when the new policy rolls back what today's does not.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Replay recorded history under today's policy and another one, and show which rollbacks differ."""
    if history and pull:
        raise typer.BadParameter("history comes from one place: --history or --pull", param_hint="--pull")
    length = parse_length(from_, "--from")
    read_after = parse_length(lag, "--lag") if lag else None
    today, new = load_or_exit(config, checks_tokens=pull), load_or_exit(policy)
    clock = SystemClock()
    began = clock.monotonic()
    try:
        trial = Trial(today, new, project, read_labels(labels) if labels else None, read_after)
        compared = try_on_file(trial, history) if history else asyncio.run(_try_on_record(trial, length, pulls=pull))
    except (HistoryError, PortError) as error:
        tell_aside(f"lastgood: {error}")
        raise typer.Exit(2) from error
    origin = str(history or ("pulled from sources" if pull else f"the journal of {today.store.path}"))
    report = Report(origin, str(config), str(policy), compared)
    for line in [json.dumps(document(report), indent=2)] if as_json else tell(report):
        typer.echo(line)
    tell_aside(f"{report.project_days:.1f} project-days under two policies took {clock.monotonic() - began:.1f} s")
    raise typer.Exit(1 if fail_on_new and report.has_new_rollbacks else 0)


async def _try_on_record(trial: Trial, length: timedelta, *, pulls: bool) -> Sequence[Comparison]:
    clock = SystemClock()
    since = clock.now() - length
    if not pulls:
        return await try_on_journal(trial, since=since)
    # Imported late: it brings the whole daemon.
    from daemon.backtest.pulling import pull_histories  # noqa: PLC0415

    return await try_on(trial, pull_histories(trial.today, clock, project=trial.project, since=since, tell=tell_aside))
