"""A configured daemon's files as an operator has them, and the command line on top of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from click.testing import Result
from typer.testing import CliRunner

from daemon.cli import app
from daemon.core.event import OperatorRequested
from daemon.core.facts import Instant
from daemon.core.state import ProjectState
from daemon.engine.codec import encode_state
from daemon.engine.intake import to_event
from daemon.ports.store import OperatorRequest, Store
from daemon.runtime.clock import SystemClock
from daemon.stores.sqlite import open_sqlite
from tests.builders import PROJECT

CONFIG = """\
vercel: {{read_token_file: {folder}/token}}
store: {{path: {folder}/lastgood.db}}
projects: [{{id: prj_shop, name: shop}}, {{id: prj_blog}}]
"""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Operated:
    """A folder with a configuration, and perhaps a store; `run` is the command line."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "lastgood.yaml"

    @property
    def store(self) -> Path:
        return self.folder / "lastgood.db"

    def run(self, *arguments: str) -> Result:
        """Run `lastgood` with *arguments*; an exception that it lets out is the test's failure."""
        result = CliRunner().invoke(app, list(arguments))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def run_configured(self, command: str, *arguments: str) -> Result:
        return self.run(command, "--config", str(self.config), *arguments)

    def save(self, state: ProjectState, *, age_seconds: float = 0) -> None:
        """Leave *state* in the store as a daemon would have done *age_seconds* ago."""
        saved = SystemClock().now() - timedelta(seconds=age_seconds)
        asyncio.run(_save(self.store, state, saved))

    def asked(self, project: str = PROJECT) -> list[OperatorRequested]:
        """Return what *project*'s daemon would be asked, as it understands it."""
        requests = asyncio.run(_pending(self.store, project))
        return [to_event(one, Instant(one.requested_at, 0)) for one in requests]


def configured(folder: Path) -> Operated:
    """Return *folder* with a token and the configuration of two projects in it."""
    token = folder / "token"
    token.write_text("tok_of_the_operator")
    token.chmod(0o600)
    operated = Operated(folder)
    operated.config.write_text(CONFIG.format(folder=folder))
    return operated


async def _save(path: Path, state: ProjectState, saved: datetime) -> None:
    store: Store = await open_sqlite(path)
    lease = await store.take_lease("test", now=saved, ttl_seconds=60)
    await store.commit(
        state.project,
        expected_version=0,
        lease=lease,
        entries=[],
        state=encode_state(state),
        commands=[],
        taken_requests=[],
        moment=Instant(saved, 0),
    )
    await store.close()


async def _pending(path: Path, project: str) -> Sequence[OperatorRequest]:
    store: Store = await open_sqlite(path)
    requests = await store.pending_requests(project)  # type: ignore[arg-type]
    await store.close()
    return requests
