"""Draws delay against error size. The drawing library is optional: `pip install lastgood[plot]` brings it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.certify.certificate import Certificate

_INSTALL = "--plot needs matplotlib, which is not installed; install it: pip install 'lastgood[plot]'"


@dataclass(frozen=True, slots=True)
class Point:
    """The delays of one error size, in seconds, and how many of its stories were missed. None: none was found."""

    percent: float
    median: float | None
    p95: float | None
    missed: int
    runs: int


class PlotUnavailable(Exception):
    """The plot cannot be drawn; the message says what is missing."""


def check_plot(path: Path) -> None:
    """Raise PlotUnavailable unless a PNG can be drawn to *path*: better now than after minutes of simulation."""
    if path.suffix.lower() != ".png":
        raise PlotUnavailable(f"--plot {path} does not end in .png; write a file name that does")
    if not path.absolute().parent.is_dir():
        raise PlotUnavailable(f"--plot {path}: there is no folder {path.absolute().parent}; make it first")
    _library()


def points(certificate: Certificate) -> list[Point]:
    """Return a point for each size that the campaign told, the smallest first."""
    rows = [row for row in certificate.report.rows.values() if row.kind.size is not None]
    found = [
        Point(100 * (row.kind.size or 0.0), row.delays.median, row.delays.p95, row.missed, row.runs) for row in rows
    ]
    return sorted(found, key=lambda one: one.percent)


def draw_plot(certificate: Certificate, path: Path) -> None:
    """Draw median and 95 % delay by the size of the jump to the PNG file at *path*, and below it what was missed."""
    drawn = points(certificate)
    figure = _library()(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    found = [one for one in drawn if one.median is not None]
    sizes = [one.percent for one in found]
    axes.plot(sizes, [one.p95 for one in found], "o--", color="#b0413e", label="95 % within")
    axes.plot(sizes, [one.median for one in found], "o-", color="#2f5d8a", label="median")
    axes.set_xscale("log")
    ticks = [one.percent for one in drawn]
    axes.set_xticks(ticks, [f"{one.percent:g} %\n{one.missed}/{one.runs} missed" for one in drawn])
    axes.minorticks_off()
    axes.set_xlim(min(ticks, default=1.0) / 1.3, max(ticks, default=100.0) * 1.3)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("requests that fail since the release")
    axes.set_ylabel("seconds from the first errors to the decision")
    axes.set_title(_title(certificate), fontsize=9)
    axes.legend()
    figure.savefig(path, format="png")


def _title(certificate: Certificate) -> str:
    campaign, scene = certificate.campaign, certificate.campaign.scene
    late = scene.lag_polls * scene.poll_seconds
    return (
        f"simulated: policy {campaign.policy.digest}, {scene.traffic}, "
        f"polls every {scene.poll_seconds} s, counts {late} s late"
    )


def _library() -> Any:
    """Return the class of figures, which needs no display. Raises PlotUnavailable with the line that installs it."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError as error:
        raise PlotUnavailable(_INSTALL) from error
    return Figure
