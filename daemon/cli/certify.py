"""`lastgood certify`: what a policy is worth, by seeded simulation, before anybody trusts it with production."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli.config import load_or_exit

if TYPE_CHECKING:
    from daemon.certify.campaign import Progress

_DAYS = 400


def certify(
    *,
    policy: Annotated[Path, typer.Option(help="The configuration file whose policy is certified.", show_default=False)],
    traffic: Annotated[
        str, typer.Option(help="Visitors: 50rps (a second), 90rpm (a minute), or mixed.", show_default=False)
    ],
    project: Annotated[
        str | None, typer.Option(help="Whose policy, where projects differ: a name or an id.", show_default=False)
    ] = None,
    poll: Annotated[
        str | None, typer.Option(help="Time between two polls; by default that of the configuration.")
    ] = None,
    lag: Annotated[str, typer.Option(help="How late counts are complete.")] = "60s",
    runs: Annotated[int, typer.Option(min=1, max=1_000_000, help="Healthy project-days that are simulated.")] = _DAYS,
    seed: Annotated[int, typer.Option(help="The same seed, the same stories.")] = 1,
    deployments_per_year: Annotated[
        int, typer.Option(min=1, max=10_000_000, metavar="<int>", help="For false rollbacks by years.")
    ] = 1_000,
    plot: Annotated[
        Path | None, typer.Option(help="Draw delay against error size to this PNG file.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; by default one for each core.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print figures for machines.")] = False,
) -> None:
    """Simulate healthy days, bad releases, outages and longer stories, and count what a policy would do.

    It is judged as if its posture were automatic, through the same code that runs in production. The figures are
    simulated: docs/certify.md says what they do not cover. Exits with 2 when something cannot be read.
    """
    # Imported late: `lastgood --help` should not wait for the whole simulation.
    from daemon.certify.certificate import NotCertifiable, certificate, prepare  # noqa: PLC0415
    from daemon.certify.plot import PlotUnavailable, check_plot, draw_plot  # noqa: PLC0415

    try:
        if plot:
            check_plot(plot)
        settings = load_or_exit(policy)
        campaign = prepare(settings, project=project, traffic=traffic, poll=poll, lag=lag, days=runs, seed=seed)
    except (NotCertifiable, PlotUnavailable) as error:
        typer.echo(f"lastgood: {error}", err=True)
        raise typer.Exit(2) from error
    with _progress(campaign.stories) as on_progress:
        done = certificate(
            campaign,
            deployments_per_year=deployments_per_year,
            workers=workers or os.cpu_count() or 1,
            on_progress=on_progress,
        )
    if as_json:
        typer.echo(json.dumps(done.as_json(), indent=2))
    else:
        for line in done.lines():
            typer.echo(line)
    if plot:
        draw_plot(done, plot)
        typer.echo(f"drawn: {plot}", err=True)


@contextmanager
def _progress(stories: int) -> Iterator["Progress"]:
    """Show how far it is, on a terminal only; nothing is shown where nobody looks."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import Progress as Bar  # noqa: PLC0415

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task: Any = bar.add_task("stories", total=stories)
        yield lambda told: bar.advance(task, told)


def _ignore(_told: int) -> None:
    """Show nothing."""
