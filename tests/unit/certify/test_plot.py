"""The plot is a PNG where its library is there, and a sentence with the install line where it is not."""

import sys
from pathlib import Path

import pytest

from daemon.certify.campaign import Campaign
from daemon.certify.certificate import Certificate, certificate
from daemon.certify.plot import PlotUnavailable, Point, check_plot, draw_plot, points
from tests.unit.certify.scenes import a_policy, a_scene


def a_certificate() -> Certificate:
    runs = (("jump-3", 1), ("jump-30", 2), ("jump-100", 1))
    return certificate(Campaign(a_policy(), a_scene(), 1, runs), deployments_per_year=1, workers=1)


def test_without_the_library_the_install_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PlotUnavailable, match=r"pip install 'lastgood\[plot\]'"):
        check_plot(tmp_path / "delay.png")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlotUnavailable, match=r"does not end in \.png"):
        check_plot(tmp_path / "delay.svg")


def test_a_folder_that_is_not_there_is_told_before_the_simulation(tmp_path: Path) -> None:
    with pytest.raises(PlotUnavailable, match="there is no folder"):
        check_plot(tmp_path / "nowhere" / "delay.png")


@pytest.mark.slow
def test_every_size_is_a_point_and_what_was_missed_has_no_delay() -> None:
    assert points(a_certificate()) == [
        Point(3.0, None, None, 1, 1),
        Point(30.0, 180.0, 180.0, 0, 2),
        Point(100.0, 180.0, 180.0, 0, 1),
    ]


@pytest.mark.slow
def test_delay_against_error_size_is_drawn_as_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed; it comes with lastgood[plot]")
    path = tmp_path / "delay.png"
    check_plot(path)
    draw_plot(a_certificate(), path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
