"""What the demo shows: a live picture on a terminal, plain lines elsewhere, and the story at the end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from daemon.cli.demo_outcome import Outcome
from daemon.core.facts import Deployment
from daemon.core.state import ProjectState

_BAR_WIDTH = 40
_SENTENCES_SHOWN = 8


class Screen:
    """Follows one project: its traffic, its error ratio against the limit, who serves, and every decision."""

    def __init__(self, console: Console, *, title: str) -> None:
        self._console = console
        self._title = title
        self._sentences: list[tuple[datetime, str]] = []
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the picture on the screen while inside."""
        self._console.print(self._title, soft_wrap=True)
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=8, transient=True) as self._live:
            yield

    def update(self, state: ProjectState, now: datetime, requests_per_second: float) -> None:
        """Show *state*; a decision is printed once, when it changes."""
        sentence = state.decision.sentence
        if not self._sentences or self._sentences[-1][1] != sentence:
            self._sentences.append((now, sentence))
            if self._live is None:
                self._console.print(f"{now:%H:%M:%S}  {sentence}", soft_wrap=True)
        if self._live:
            self._live.update(self._picture(state, now, requests_per_second))

    def _picture(self, state: ProjectState, now: datetime, requests_per_second: float) -> RenderableType:
        facts = Table.grid(padding=(0, 2))
        facts.add_row("time", f"{now:%H:%M:%S} UTC")
        facts.add_row("serves production", _name(state.serving))
        facts.add_row("traffic", f"{requests_per_second:.0f} requests/s")
        facts.add_row("5xx rate", _rate(state))
        facts.add_row("incident", state.incident.state.replace("_", " ") if state.incident else "none")
        story = [Text(f"{at:%H:%M:%S}  {sentence}") for at, sentence in self._sentences[-_SENTENCES_SHOWN:]]
        return Group(facts, Text(), *story)


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Tell the story: timeline, metrics that moved, and where to look next."""
    incident = outcome.incident
    console.print()
    if incident is None:
        console.print("No incident was opened.")
    else:
        console.print(f"Incident {incident.id}", style="bold")
        console.print(f"{incident.opened.at:%H:%M:%S}  detected           {incident.finding.sentence}", soft_wrap=True)
        for one in incident.trail:
            state = one.target.replace("_", " ")
            console.print(f"{one.moment.at:%H:%M:%S}  {state:<18} {one.sentence}", soft_wrap=True)
    console.print("\nMetrics that moved", style="bold")
    for name, growth in sorted(outcome.metrics.items()):
        console.print(f"  {name} +{growth:g}", soft_wrap=True)
    console.print("\nWhere to look next", style="bold")
    console.print(f"  configuration, log and store of this run: {outcome.folder}", soft_wrap=True)
    console.print(f"  {sys.executable} -m daemon status -c {outcome.folder / 'lastgood.yaml'}", soft_wrap=True)
    console.print(
        "  config/lastgood.example.yaml: begin with posture observe on a project of your own\n", soft_wrap=True
    )
    verdict = "production is back on the good deployment, and the recovery was verified"
    if not outcome.is_good:
        verdict = "production was NOT both brought back and verified"
    seconds = f"{outcome.real_seconds:.0f} s of real time, clock factor {outcome.clock_factor:g}"
    sent = f"rollback requests by the emulator's own ledger: {outcome.rollbacks_sent}"
    console.print(
        f"{'OK' if outcome.is_good else 'FAILED'}: {verdict} ({sent}; {seconds})", style="bold", soft_wrap=True
    )


def _name(deployment: Deployment | None) -> str:
    if deployment is None:
        return "nothing observed yet"
    return f"{deployment.id}  {(deployment.commit_message or '').splitlines()[0] if deployment.commit_message else ''}"


def _rate(state: ProjectState) -> Text:
    finding = next(iter(state.watch(state.serving.id).findings.values()), None) if state.serving else None
    if finding is None or finding.error_ratio is None:
        return Text("no counts yet")
    share = min(1.0, finding.error_ratio / (4 * finding.limit))
    filled = round(share * _BAR_WIDTH)
    style = "red" if finding.error_ratio >= finding.limit else "green"
    bar = Text("█" * filled, style=style) + Text("·" * (_BAR_WIDTH - filled))
    return bar + Text(f"  {finding.error_ratio:.1%} (limit {finding.limit:.1%})", style=style)
