"""`lastgood explain`: why a project is left alone, or not, as the daemon saw it at its last poll."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from daemon.cli.config import CONFIG_DEFAULT, CONFIG_HELP, load_or_exit
from daemon.cli.status import load_projects
from daemon.core.detector import Gate
from daemon.core.explain import Judgement, judgements, margin
from daemon.core.policy import Policy
from daemon.core.state import ProjectState
from daemon.engine.codec import decode_state
from daemon.ports.errors import StoreUnavailable
from daemon.settings.model import Settings


def explain(
    project: Annotated[str, typer.Argument(help="The project's id, or its name in the configuration.")],
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="LASTGOOD_CONFIG", help=CONFIG_HELP)
    ] = CONFIG_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,  # noqa: FBT002
) -> None:
    """Show what every detector makes of a project: each condition in order, how far it is met, and what follows."""
    settings = load_or_exit(config)
    state, policy = _find(settings, project)
    if as_json:
        typer.echo(json.dumps(_document(state, policy), indent=2))
        return
    _print(state, policy)


def _find(settings: Settings, name: str) -> tuple[ProjectState, Policy]:
    """Return the state and the policy of the project called *name*, or end with what is known."""
    configured = next((one for one in settings.projects if name in (one.id, one.name)), None)
    if configured is None:
        known = ", ".join(one.label for one in settings.projects)
        raise typer.BadParameter(f"no project is called {name} in the configuration; it names: {known}")
    try:
        stored = asyncio.run(load_projects(settings.store.path))
    except StoreUnavailable as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(1) from error
    states = [decode_state(one.state) for one in stored]
    state = next((one for one in states if _is_about(one, configured.id, configured.name)), None)
    if state is None:
        typer.echo(f"lastgood: the daemon has not polled {name} yet: is `lastgood run` running?", err=True)
        raise typer.Exit(1)
    return state, settings.policy_for(configured)


def _is_about(state: ProjectState, project_id: str | None, name: str | None) -> bool:
    return state.project in (project_id, name)


def _document(state: ProjectState, policy: Policy) -> dict[str, object]:
    return {
        "project": state.project,
        "production": state.serving.id if state.serving else None,
        "policy": policy.digest,
        "posture": policy.posture,
        "combine": policy.combine,
        "signal": state.signal.state if state.signal else None,
        "signal_sentence": state.signal.sentence if state.signal else None,
        "reason": state.decision.reason,
        "summary": state.decision.sentence,
        "detectors": [_judged(one) for one in judgements(state, policy)],
    }


def _judged(judgement: Judgement) -> dict[str, object]:
    finding = judgement.finding
    return {
        "detector": judgement.detector.name,
        "rule": judgement.detector.rule,
        "dry_run": judgement.detector.dry_run,
        "verdict": finding.verdict if finding else None,
        "summary": finding.sentence if finding else None,
        "would_act_in_seconds": finding.acts_in.total_seconds() if finding and finding.acts_in else None,
        "gates": [
            {
                "gate": gate.name,
                "value": gate.value,
                "threshold": gate.threshold,
                "margin": margin(gate),
                "passed": gate.passed,
            }
            for gate in (finding.gates if finding else ())
        ],
    }


def _print(state: ProjectState, policy: Policy) -> None:
    out = Console(highlight=False)
    out.print(f"{state.project}: {state.decision.sentence}", style="bold")
    serving = f"{state.serving.id} serves production" if state.serving else "nothing is known to serve production"
    out.print(f"{serving}; posture {policy.posture}; {_seen(state)}")
    for judgement in judgements(state, policy):
        out.print()
        out.print(_headline(judgement), style="bold")
        out.print(f"  rule: {judgement.detector.rule}")
        if judgement.finding is None:
            out.print("  no counts of what serves yet")
            continue
        out.print(f"  {judgement.finding.sentence}")
        if judgement.finding.gates:
            out.print(_table(judgement.finding.gates))
        out.print(f"  {_outlook(judgement)}")


def _seen(state: ProjectState) -> str:
    return f"{state.signal.state}: {state.signal.sentence}" if state.signal else "not polled to an end yet"


def _headline(judgement: Judgement) -> str:
    verdict = judgement.finding.verdict if judgement.finding else "nothing found yet"
    note = ", dry run: never acted upon" if judgement.detector.dry_run else ""
    return f"{judgement.detector.name}: {verdict}{note}"


def _table(gates: tuple[Gate, ...]) -> Table:
    table = Table("gate", "value", "threshold", "margin", "passed")
    for gate in gates:
        distance = margin(gate)
        shown = "unknown" if gate.value is None else f"{gate.value:.6g}"
        table.add_row(
            gate.name,
            shown,
            f"{gate.threshold:.6g}",
            "" if distance is None else f"{distance:+.0%}",
            "yes" if gate.passed else "no",
        )
    return table


def _outlook(judgement: Judgement) -> str:
    finding, failed = judgement.finding, judgement.first_failed
    if finding is None or failed is None:
        return "every gate has passed"
    seconds = finding.acts_in.total_seconds() if finding.acts_in is not None else None
    then = "would not act" if seconds is None else f"would act in about {seconds:.0f} s"
    return f"first gate that fails: {failed.name}; {then} if this goes on"
