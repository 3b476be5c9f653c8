"""`lastgood status`: what the daemon knows and does, read from its store without disturbing it."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from daemon.cli.config import CONFIG_DEFAULT, CONFIG_HELP, load_or_exit
from daemon.core.state import ProjectState
from daemon.engine.codec import decode_state
from daemon.ports.errors import StoreUnavailable
from daemon.ports.store import StoredProject
from daemon.runtime.clock import SystemClock
from daemon.stores.sqlite import open_sqlite


def status(
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP)
    ] = CONFIG_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,  # noqa: FBT002
) -> None:
    """Show each project: what serves production, what the daemon last decided and why, and open incidents."""
    settings = load_or_exit(config)
    try:
        projects = asyncio.run(load_projects(settings.store.path))
    except StoreUnavailable as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(1) from error
    now = SystemClock().now()
    if as_json:
        typer.echo(json.dumps([_row(one, now) for one in projects], indent=2))
        return
    _print_table(projects, now)


async def load_projects(path: Path) -> Sequence[StoredProject]:
    """Return what the daemon that writes the store at *path* knows. Raises StoreUnavailable."""
    store = await open_sqlite(path, read_only=True)
    try:
        return await store.load_all()
    finally:
        await store.close()


def _row(stored: StoredProject, now: datetime) -> dict[str, object]:
    state = decode_state(stored.state)
    return {
        "project": state.project,
        "production": state.serving.id if state.serving else None,
        "incident": state.incident.id if state.incident else None,
        "incident_state": state.incident.state if state.incident else None,
        "unacknowledged": [one.id for one in state.unacknowledged],
        "paused_by": state.paused.by if state.paused else None,
        "source": state.source or None,
        "counts_complete_until": state.samples_until.isoformat() if state.samples_until else None,
        "last_poll_age_seconds": round((now - stored.saved.at).total_seconds(), 1),
        "reason": state.decision.reason,
        "summary": state.decision.sentence,
    }


def _print_table(projects: Sequence[StoredProject], now: datetime) -> None:
    table = Table("project", "serves production", "incident", "last poll", "what it made of it")
    for stored in projects:
        state = decode_state(stored.state)
        age = (now - stored.saved.at).total_seconds()
        serving = state.serving.id if state.serving else "nothing known"
        table.add_row(state.project, serving, _incident(state), f"{age:.0f} s ago", state.decision.sentence)
    Console().print(table if projects else "no project was polled yet: is `lastgood run` running?")


def _incident(state: ProjectState) -> str:
    parts = [f"{state.incident.state}"] if state.incident else []
    if state.unacknowledged:
        parts.append(f"{len(state.unacknowledged)} escalated, unacknowledged")
    if state.paused:
        parts.append(f"paused by {state.paused.by}")
    return ", ".join(parts) or "none"
