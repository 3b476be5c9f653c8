"""The rules of a test run hold: no silent skips in CI, no other machines, slow tests are named."""

import socket

import pytest

from tests.rules.duration import DurationWatch
from tests.rules.network import is_loopback
from tests.rules.skips import ALLOWED_SKIPS, REQUIRE_ALL, is_allowed, read_allowed_skips

SKIPPING = """
    import pytest

    @pytest.mark.skipif(True, reason="the part is missing; install it with: apt-get install part")
    def test_needs_a_part(): ...

    def test_needs_nothing(): ...

    @pytest.mark.xfail(reason="known")
    def test_is_expected_to_fail(): assert False
"""
# An address of the documentation range (RFC 5737): no machine has it.
ELSEWHERE = "192.0.2.1"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run pytest inside pytest with the skip rule, in an environment that names what is required."""

    def run_it(*arguments: str, require_all: bool, allowed: str | None = None) -> pytest.RunResult:
        if require_all:
            monkeypatch.setenv(REQUIRE_ALL, "1")
        else:
            monkeypatch.delenv(REQUIRE_ALL, raising=False)
        if allowed is not None:
            file = pytester.path / ALLOWED_SKIPS
            file.parent.mkdir()
            file.write_text(allowed, encoding="utf-8")
        # Loading every plug-in of this environment again for each inner run would take most of the time.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.runpytest_inprocess("-p", "tests.rules.skips", *arguments)

    return run_it


def test_a_newcomer_may_skip(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(test_part=SKIPPING)
    assert run(require_all=False).ret == pytest.ExitCode.OK


def test_in_ci_a_skip_fails_the_run_and_names_the_install_line(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(test_part=SKIPPING)
    result = run(require_all=True)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["REFUSED SKIP test_part.py::test_needs_a_part: *apt-get install part"])
    result.stdout.no_fnmatch_line("REFUSED SKIP *test_is_expected_to_fail*")


@pytest.mark.slow
def test_in_ci_a_skip_on_a_worker_fails_the_run(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(test_part=SKIPPING)
    result = run("-p", "xdist", "-n", "1", require_all=True)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["REFUSED SKIP test_part.py::test_needs_a_part: *apt-get install part"])


def test_in_ci_a_skip_of_a_whole_file_fails_the_run(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(test_part="import pytest\npytest.importorskip('a_module_that_nobody_has')\ndef test_it(): ...")
    assert run(require_all=True).ret == pytest.ExitCode.TESTS_FAILED


def test_in_ci_a_skip_that_is_allowed_by_name_passes(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(test_part=SKIPPING)
    allowed = "test_part.py::test_needs_a_part | no machine of this kind has the part\n"
    assert run(require_all=True, allowed=allowed).ret == pytest.ExitCode.OK


def test_in_ci_a_run_without_skips_passes(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(test_part="def test_needs_nothing(): ...")
    assert run(require_all=True).ret == pytest.ExitCode.OK


def test_the_list_of_allowed_skips_is_readable_and_every_line_has_a_reason() -> None:
    text = "# a comment\n\ntests/a.py::test_b[x|y] | no loop devices here\n"
    assert read_allowed_skips(text) == {"tests/a.py::test_b[x|y]": "no loop devices here"}
    with pytest.raises(ValueError, match="line 1 of"):
        read_allowed_skips("tests/a.py::test_b\n")


def test_our_own_list_of_allowed_skips_is_readable(pytestconfig: pytest.Config) -> None:
    read_allowed_skips((pytestconfig.rootpath / ALLOWED_SKIPS).read_text(encoding="utf-8"))


def test_a_pattern_allows_what_it_names_and_nothing_else() -> None:
    assert is_allowed("tests/c.py::test_d", {"tests/c.py::*": "all of it"})
    assert not is_allowed("tests/cc.py::test_d", {"tests/c.py::*": "all of it"})
    assert is_allowed("tests/a.py::test_b[x]", {"tests/a.py::test_b[x]": "one parameter"})
    assert not is_allowed("tests/a.py::test_bx", {"tests/a.py::test_b[x]": "one parameter"})


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "prj.localhost", "", None, b"localhost", "0.0.0.0"]
)
def test_this_machine_is_reachable(host: object) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", [ELSEWHERE, "2001:db8::1", "api.vercel.com", "localhost.example.com", b"example.com"])
def test_other_machines_are_not(host: object) -> None:
    assert not is_loopback(host)


def test_a_connection_to_another_machine_is_refused_before_it_is_tried() -> None:
    with socket.socket() as sock, pytest.raises(RuntimeError, match="loopback addresses only"):
        sock.connect((ELSEWHERE, 443))


def test_the_name_of_another_machine_is_not_even_resolved() -> None:
    with pytest.raises(RuntimeError, match="loopback addresses only"):
        socket.getaddrinfo("api.vercel.com", 443)


def test_a_connection_on_this_machine_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


@pytest.mark.parametrize(
    ("seconds", "keywords", "listed"),
    [(0.25, {}, False), (0.26, {}, True), (9.0, {"slow": 1}, False), (9.0, {"proof": 1}, False)],
)
def test_a_slow_test_is_listed_unless_it_says_so(seconds: float, keywords: dict[str, int], listed: bool) -> None:
    watch = DurationWatch(refuses=True)
    watch.pytest_runtest_logreport(
        pytest.TestReport(
            "test_a.py::test_b", ("test_a.py", 1, "test_b"), keywords, "passed", None, "call", duration=seconds
        )
    )
    assert ("test_a.py::test_b" in watch.over) is listed
