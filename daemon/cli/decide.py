"""`lastgood decide`: what the rule would have decided on recorded counts, one line of JSON a trace."""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from daemon.detectors.evidence.knobs import Knobs, Sensitivity
from daemon.detectors.evidence.offline import BadTrace, judge_trace, parse_trace


def decide(
    traces: Annotated[Path, typer.Argument(help="File of traces, a JSON object a line; gzipped when it ends in .gz.")],
    sensitivity: Annotated[
        Sensitivity | None, typer.Option(metavar="WORD", help="strict, balanced or fast.", show_default="balanced")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(min=1e-9, max=0.1, metavar="CHANCE", help="The same as a chance.", show_default=False),
    ] = None,
) -> None:
    """Judge recorded counts and print one decision a trace: exit 2 for a file that cannot be judged."""
    if sensitivity is not None and alpha is not None:
        _refuse("--sensitivity and --alpha say the same thing; keep one of the two")
    design = Knobs(sensitivity=sensitivity).design
    if alpha is not None:
        design = design._replace(level=alpha)
    for number, line in _lines(traces):
        try:
            decision = judge_trace(parse_trace(line), design)
        except BadTrace as error:
            _refuse(f"{traces}:{number}: {error}")
        typer.echo(decision.as_line())


def _lines(traces: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of *traces* that hold anything, with their numbers from 1 on."""
    number = 0
    try:
        with (
            gzip.open(traces, "rt", encoding="utf-8")
            if traces.suffix == ".gz"
            else traces.open(encoding="utf-8") as lines
        ):
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError, UnicodeDecodeError) as error:
        _refuse(f"{traces}:{number + 1}: cannot be read: {error}")


def _refuse(sentence: str) -> NoReturn:
    sys.stdout.flush()
    typer.echo(f"lastgood: {sentence}", err=True)
    raise typer.Exit(2)
