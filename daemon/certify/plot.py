"""Draws delay against error size. The drawing library is optional: `pip install lastgood[plot]` brings it."""

from pathlib import Path
from typing import Any

from daemon.certify.certificate import Certificate

_INSTALL = "--plot needs matplotlib, which is not installed; install it: pip install 'lastgood[plot]'"


class PlotUnavailable(Exception):
    """The plot cannot be drawn; the message says what is missing."""


def check_plot(path: Path) -> None:
    """Raise PlotUnavailable unless a PNG can be drawn to *path*: better now than after minutes of simulation."""
    if path.suffix.lower() != ".png":
        raise PlotUnavailable(f"--plot {path} does not end in .png; write a file name that does")
    if not path.absolute().parent.is_dir():
        raise PlotUnavailable(f"--plot {path}: there is no folder {path.absolute().parent}; make it first")
    _library()


def draw_plot(certificate: Certificate, path: Path) -> None:
    """Draw median and 95 % delay by the size of the jump to the PNG file at *path*, and below it what was missed."""
    figure_class = _library()
    rows = [row for row in certificate.report.rows.values() if row.kind.size is not None]
    figure = figure_class(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    found = [row for row in rows if row.delays.seconds]
    sizes = [100 * (row.kind.size or 0.0) for row in found]
    axes.plot(sizes, [row.delays.p95 for row in found], "o--", color="#b0413e", label="95 % within")
    axes.plot(sizes, [row.delays.median for row in found], "o-", color="#2f5d8a", label="median")
    axes.set_xscale("log")
    ticks = [100 * (row.kind.size or 0.0) for row in rows]
    labels = [f"{size:g} %\n{row.missed}/{row.runs} missed" for size, row in zip(ticks, rows, strict=True)]
    axes.set_xticks(ticks, labels)
    axes.minorticks_off()
    axes.set_xlim(min(ticks, default=1.0) / 1.3, max(ticks, default=100.0) * 1.3)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("requests that fail since the release")
    axes.set_ylabel("seconds from the first errors to the decision")
    scene = certificate.campaign.scene
    axes.set_title(
        f"simulated: policy {certificate.campaign.policy.digest}, {scene.traffic}, polls every {scene.poll_seconds} s, "
        f"counts {scene.lag_polls * scene.poll_seconds} s late",
        fontsize=9,
    )
    axes.legend()
    figure.savefig(path, format="png")


def _library() -> Any:
    """Return the class of figures, which needs no display. Raises PlotUnavailable with the line that installs it."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError as error:
        raise PlotUnavailable(_INSTALL) from error
    return Figure
