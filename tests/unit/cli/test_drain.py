"""`lastgood drain` refuses to start without what it needs, and says what that is."""

from pathlib import Path

from tests.unit.cli.operating import Operated

DRAIN = "drain: {{runs_inside: {inside}, secret_files: [{file}], port: 0}}\n"


def configure(operated: Operated, *, inside: bool, file: Path) -> None:
    text = DRAIN.format(inside=str(inside).lower(), file=file)
    operated.config.write_text(operated.config.read_text() + text)


def test_without_a_secret_there_is_no_receiver(operated: Operated) -> None:
    result = operated.run_configured("drain")
    assert result.exit_code == 2
    assert "drain.secret_files" in result.stderr


def test_beside_a_daemon_that_receives_by_itself_there_is_no_other(operated: Operated) -> None:
    configure(operated, inside=True, file=operated.folder / "team.secret")
    result = operated.run_configured("drain")
    assert result.exit_code == 2
    assert "drain.runs_inside: false" in result.stderr


def test_without_the_daemons_store_it_says_so_in_one_line(operated: Operated) -> None:
    configure(operated, inside=False, file=operated.folder / "team.secret")
    result = operated.run_configured("drain")
    assert result.exit_code == 1
    told = [line for line in result.stderr.splitlines() if line.startswith("lastgood: ")]
    assert len(told) == 1
    assert str(operated.store) in told[0]
    assert not operated.store.exists()
