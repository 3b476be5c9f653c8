"""`lastgood pause | resume | approve | reject | ack`: what people ask of a running daemon, through its store."""

import asyncio
import getpass
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.config import CONFIG_HELP, load_or_exit
from daemon.core.event import OperatorVerb
from daemon.core.facts import ProjectId
from daemon.engine.intake import Ask, encode_ask
from daemon.ports.errors import StoreUnavailable
from daemon.runtime.clock import SystemClock
from daemon.settings.duration import EXAMPLES, parse_duration
from daemon.stores.sqlite import open_sqlite

_Config = Annotated[Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP)]
_Project = Annotated[str, typer.Argument(help="The project's id, or `all`.")]
_Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the journal.")]
_Incident = Annotated[str | None, typer.Option("--incident", help="Only this incident.")]

_REASON_CHARACTERS_MAX = 500
"""The daemon takes no more. A longer reason is cut: a pause in an emergency must not fail by its explanation."""


def pause(
    config: _Config,
    project: _Project,
    for_: Annotated[str | None, typer.Option("--for", help="How long, such as 30m; until resumed if left out.")] = None,
    reason: _Reason = "",
) -> None:
    """Stop every action on a project. Watching goes on."""
    span = None if for_ is None else parse_duration(for_)
    if for_ is not None and not span:
        raise typer.BadParameter(f"{for_!r} is no length of time; write one such as {EXAMPLES}", param_hint="--for")
    _ask(config, project, Ask(OperatorVerb.PAUSE, _cut(reason), for_seconds=span.total_seconds() if span else None))


def resume(config: _Config, project: _Project, reason: _Reason = "") -> None:
    """Lift a pause, and the hold after somebody else moved production."""
    _ask(config, project, Ask(OperatorVerb.RESUME, _cut(reason)))


def approve(config: _Config, project: _Project, incident: _Incident = None) -> None:
    """Approve the rollback that awaits it; the guardrails rule once more before it is sent."""
    _ask(config, project, Ask(OperatorVerb.APPROVE, incident=incident))


def reject(config: _Config, project: _Project, incident: _Incident = None, reason: _Reason = "") -> None:
    """Refuse the rollback that awaits approval."""
    _ask(config, project, Ask(OperatorVerb.REJECT, _cut(reason), incident=incident))


def ack(config: _Config, project: _Project, incident: _Incident = None) -> None:
    """Take an escalated incident off the list: a person has it."""
    _ask(config, project, Ask(OperatorVerb.ACKNOWLEDGE, incident=incident))


def _cut(reason: str) -> str:
    return reason[:_REASON_CHARACTERS_MAX]


def _ask(config: Path, project: str, ask: Ask) -> None:
    settings = load_or_exit(config)
    ids = {one.label: one.id for one in settings.projects if one.id}
    try:
        number = asyncio.run(_put(settings.store.path, project, ids.get(project, project), ask))
    except StoreUnavailable as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"asked to {ask.verb} {project} (request {number}); the daemon takes it at its next poll")


async def _put(path: Path, name: str, project_id: str, ask: Ask) -> int:
    """Queue *ask*. Only projects that the daemon has polled are known, so that no request waits for ever unseen."""
    store = await open_sqlite(path, may_upgrade=False)
    try:
        known = [stored.project for stored in await store.load_all()]
        if name != "all" and project_id not in known:
            raise typer.BadParameter(f"the daemon knows no project {name}; it knows {', '.join(known) or 'none yet'}")
        return await store.ask(
            encode_ask(ask),
            project=None if name == "all" else ProjectId(project_id),
            requested_at=SystemClock().now(),
            requested_by=getpass.getuser(),
        )
    finally:
        await store.close()
