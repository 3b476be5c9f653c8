"""`lastgood pause | resume | approve | reject | ack`: what people ask of a running daemon, through its store."""

import asyncio
import getpass
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.config import CONFIG_DEFAULT, CONFIG_HELP, load_or_exit
from daemon.core.event import OperatorVerb
from daemon.core.facts import ProjectId
from daemon.core.incident import State
from daemon.engine.codec import decode_state
from daemon.engine.intake import REASON_CHARACTERS_MAX, Ask, encode_ask
from daemon.ports.errors import StoreUnavailable
from daemon.ports.store import StoredProject
from daemon.runtime.clock import SystemClock
from daemon.settings.duration import EXAMPLES, parse_duration
from daemon.stores.sqlite import open_sqlite

_Config = Annotated[Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP)]
_Project = Annotated[str, typer.Argument(help="The project's id, or `all`.")]
_Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the journal.")]
_Incident = Annotated[str | None, typer.Option("--incident", help="Only this incident.")]


def pause(
    project: _Project,
    config: _Config = CONFIG_DEFAULT,
    for_: Annotated[str | None, typer.Option("--for", help="How long, such as 30m; until resumed if left out.")] = None,
    reason: _Reason = "",
) -> None:
    """Stop every action on a project. Watching goes on."""
    span = None if for_ is None else parse_duration(for_)
    if for_ is not None and not span:
        raise typer.BadParameter(f"{for_!r} is no length of time; write one such as {EXAMPLES}", param_hint="--for")
    _ask(config, project, Ask(OperatorVerb.PAUSE, _cut(reason), for_seconds=span.total_seconds() if span else None))


def resume(project: _Project, config: _Config = CONFIG_DEFAULT, reason: _Reason = "") -> None:
    """Lift a pause, and the hold after somebody else moved production."""
    _ask(config, project, Ask(OperatorVerb.RESUME, _cut(reason)))


def approve(project: _Project, config: _Config = CONFIG_DEFAULT, incident: _Incident = None) -> None:
    """Approve the rollback that awaits it; the guardrails rule once more before it is sent."""
    _ask(config, project, Ask(OperatorVerb.APPROVE, incident=incident))


def reject(
    project: _Project, config: _Config = CONFIG_DEFAULT, incident: _Incident = None, reason: _Reason = ""
) -> None:
    """Refuse the rollback that awaits approval."""
    _ask(config, project, Ask(OperatorVerb.REJECT, _cut(reason), incident=incident))


def ack(project: _Project, config: _Config = CONFIG_DEFAULT, incident: _Incident = None) -> None:
    """Take an escalated incident off the list: a person has it."""
    _ask(config, project, Ask(OperatorVerb.ACKNOWLEDGE, incident=incident))


def _cut(reason: str) -> str:
    """Return as much of *reason* as the daemon takes: a pause in an emergency must not fail by its explanation."""
    return reason[:REASON_CHARACTERS_MAX]


def _ask(config: Path, project: str, ask: Ask) -> None:
    settings = load_or_exit(config)
    ids = {one.label: one.id for one in settings.projects if one.id}
    try:
        lines = asyncio.run(_put(settings.store.path, project, ids.get(project, project), ask))
    except StoreUnavailable as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(1) from error
    for line in lines:
        typer.echo(line)


async def _put(path: Path, name: str, project_id: str, ask: Ask) -> list[str]:
    """Queue *ask*, and return a line for each request.

    Only projects that the daemon has polled are known, so that no request waits for ever unseen.
    """
    store = await open_sqlite(path, may_upgrade=False)
    try:
        stored = await store.load_all()
        known = [one.project for one in stored]
        if name != "all" and project_id not in known:
            ids = ", ".join(known) or "none yet"
            raise typer.BadParameter(f"the daemon knows no project {name}; it knows these ids: {ids}")
        lines: list[str] = []
        for project, one in _narrowed(ask, [each for each in stored if name == "all" or each.project == project_id]):
            target = project or (None if name == "all" else ProjectId(project_id))
            number = await store.ask(
                encode_ask(one), project=target, requested_at=SystemClock().now(), requested_by=_operator()
            )
            about = f", incident {one.incident}" if one.incident else ""
            lines.append(
                f"asked to {ask.verb} {project or name}{about} (request {number}); the daemon takes it at its next poll"
            )
        return lines
    finally:
        await store.close()


def _narrowed(ask: Ask, stored: Sequence[StoredProject]) -> list[tuple[ProjectId | None, Ask]]:
    """Return what to ask of which project; None: of whichever was named.

    An approval or a rejection is for the incident that awaits one now, not for what may await one when it is taken.
    """
    if ask.incident or ask.verb not in (OperatorVerb.APPROVE, OperatorVerb.REJECT):
        return [(None, ask)]
    incidents = {one.project: decode_state(one.state).incident for one in stored}
    awaiting: list[tuple[ProjectId | None, Ask]] = [
        (project, replace(ask, incident=incident.id))
        for project, incident in incidents.items()
        if incident and incident.state is State.AWAITING_APPROVAL
    ]
    if not awaiting:
        typer.echo(f"lastgood: nothing awaits an approval, so there is nothing to {ask.verb}", err=True)
        raise typer.Exit(1)
    return awaiting


def _operator() -> str:
    """Return who asks: whoever became root to do so, too, and a number where the system has no name for it."""
    name = os.environ.get("SUDO_USER")
    if name:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
