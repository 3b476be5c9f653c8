"""Messages of one kind have one fingerprint, messages of two kinds have two, and no text holds anybody up."""

import pytest

from daemon.core.fingerprint import MESSAGE_CHARACTERS_MAX, TEMPLATE_CHARACTERS_MAX, fingerprint_of, normalise

TRACE = """TypeError: Cannot read properties of undefined (reading 'id')
    at node:internal/process/task_queues:95:5
    at /var/task/node_modules/next/dist/server.js:10:2
    at async handler (/var/task/api/me.js:{line}:3)
    at Module.run (/var/task/api/run.js:1:1)"""
PYTHON = """Traceback (most recent call last):
  File "/var/task/app.py", line {line}, in handler
    return load(user)
  File "/var/task/lib/python3.12/site-packages/requests/api.py", line 59, in get
    return request("get", url)
KeyError: 'user_{line}'"""


def template(message: str) -> str:
    found = fingerprint_of(message)
    assert found is not None
    return found.template


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("connect ECONNREFUSED 10.0.0.3:5432", "connect ECONNREFUSED <ip>"),
        ("upstream [2001:db8::1]:443 refused", "upstream <ip> refused"),
        ("upstream 2001:db8:0:1:2:3:4:5 refused", "upstream <ip> refused"),
        ("Task timed out after 10.02 seconds", "Task timed out after <n> seconds"),
        ("took 300ms, 3.5e-7 of it idle, -4 left", "took <n>ms, <n> of it idle, <n> left"),
        ("at 2026-11-22T05:01:02.123Z and on 2026-11-22", "at <time> and on <time>"),
        ("user 7c9e6679-7425-40de-944b-e07fc1f90ae7 is unknown", "user <uuid> is unknown"),
        ("order ord_8fK3jd92LsA1 of ada@example.com", "order <id> of <email>"),
        ("request iad1::abcde-1700000000000-0123456789ab", "request <id>"),
        ("chunk 4bd1b696a8f3 at 0x7ffe12", "chunk <hex> at <hex>"),
        ("token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "token <token>"),
        ("fetch https://api.example.com/v1/charges?x=1 failed", "fetch <url> failed"),
        ('no column "email" in `users`', "no column <text> in <text>"),
        ("open '/var/task/data/1234.json'", "open <text>"),
        ("cannot read /var/task/data/1234.json", "cannot read <path>"),
        ("\x1b[31mError\x1b[0m:   two  spaces", "Error: two spaces"),
        ("it's Bob's turn", "it's Bob's turn"),
        ("expected <div> got <span>", "expected <div> got <span>"),
        ("deadbeef cafe facade", "deadbeef cafe facade"),
        ("Hydration failed in ProductDetailsPageContent", "Hydration failed in ProductDetailsPageContent"),
        ("MODULE_NOT_FOUND: e2e_helpers", "MODULE_NOT_FOUND: e2e_helpers"),
    ],
)
def test_what_differs_between_requests_is_replaced_by_what_it_is(message: str, expected: str) -> None:
    assert normalise(message) == expected
    assert normalise(expected) == expected, "what is normalised already stays"


def test_a_stack_trace_is_the_error_and_the_first_frame_of_the_applications_own_code() -> None:
    assert template(TRACE.format(line=12)) == (
        "TypeError: Cannot read properties of undefined (reading <text>) at handler (me.js)"
    )
    assert fingerprint_of(TRACE.format(line=12)) == fingerprint_of(TRACE.format(line=480)), "a release moves lines"
    elsewhere = TRACE.format(line=12).replace("handler (/var/task/api/me", "handler (/var/task/api/you")
    assert fingerprint_of(elsewhere) != fingerprint_of(TRACE.format(line=12))


def test_a_python_trace_is_told_from_its_end() -> None:
    assert template(PYTHON.format(line=3)) == "KeyError: <text> at handler (app.py)"
    assert fingerprint_of(PYTHON.format(line=3)) == fingerprint_of(PYTHON.format(line=77))


def test_frames_of_libraries_alone_are_better_than_none() -> None:
    message = "Error: boom\n    at run (/var/task/node_modules/pg/lib/client.js:1:1)"
    assert template(message) == "Error: boom at run (client.js)"


def test_the_name_that_a_bundler_gives_a_file_is_the_same_in_every_release() -> None:
    one, other = (
        f"    at page (/var/task/.next/server/chunks/page-{build}.js:1:2)" for build in ("3f9a8b7c", "00c1d2e3")
    )
    assert fingerprint_of(one) == fingerprint_of(other)
    assert template(one) == "page (page.js)"


def test_different_errors_stay_different() -> None:
    messages = ["TypeError: x is not a function", "TypeError: y is not a function", "RangeError: x is not a function"]
    assert len({fingerprint_of(one) for one in messages}) == 3


@pytest.mark.parametrize("message", ["", "   \n\t", "\x1b[0m", "\x00"])
def test_a_message_that_says_nothing_has_no_fingerprint(message: str) -> None:
    assert fingerprint_of(message) is None


def test_keys_are_short_and_templates_bounded() -> None:
    found = fingerprint_of("boom " * 1_000)
    assert found is not None
    assert len(found.key) == 16
    assert len(found.template) == TEMPLATE_CHARACTERS_MAX
    assert fingerprint_of("x" * MESSAGE_CHARACTERS_MAX) == fingerprint_of("x" * MESSAGE_CHARACTERS_MAX + "y")


HOSTILE = ["/", "a/", "'", "1.", "a_", "x@", "0:", "-", "A", "a1", "at x (", 'File "', "a.b@a.", "https://", "[::"]


@pytest.mark.parametrize("part", HOSTILE)
def test_no_text_holds_the_daemon_up(part: str) -> None:
    # These take milliseconds. A pattern that backtracks takes minutes, and no test without a mark may take two seconds.
    text = (part * MESSAGE_CHARACTERS_MAX)[:MESSAGE_CHARACTERS_MAX]
    in_lines = "\n".join(text[at : at + 200] for at in range(0, len(text), 200))
    assert fingerprint_of(text) == fingerprint_of(text + "beyond the bound")
    assert len(normalise(in_lines)) <= 3 * MESSAGE_CHARACTERS_MAX, "two quotes become one placeholder"
