"""What two error messages have in common: the message without what differs from one request to the next.

The order of the patterns matters: what is specific goes first, bare numbers last. None of them can backtrack far, and a
message is cut before any of them sees it, so that no text holds the daemon up.
"""

import hashlib
import re
from dataclasses import dataclass

MESSAGE_CHARACTERS_MAX = 4_000
TEMPLATE_CHARACTERS_MAX = 200
_KEY_CHARACTERS = 16

_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]{0,20}[ -/]?[@-~]")
_VARIABLE_PARTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), placeholder)
    for pattern, placeholder in (
        (r"\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'`<>)\]]{1,500}", "<url>"),
        (r"[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}", "<email>"),
        (r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b", "<uuid>"),
        (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?", "<time>"),
        (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?\b", "<ip>"),
        (r"\[[0-9a-fA-F:]{2,45}\](?::\d{1,5})?", "<ip>"),
        (r"\b(?:[0-9a-fA-F]{1,4}:){3,7}:?[0-9a-fA-F]{0,4}\b", "<ip>"),
        (r"\b[a-z]{3}\d::[A-Za-z0-9:-]{1,100}", "<id>"),
        (r"\b[a-z]{2,6}_(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{8,64}\b", "<id>"),
        (r"\b0x[0-9a-fA-F]{1,64}\b", "<hex>"),
        (r"\b(?=[a-f]{0,60}\d)[0-9a-f]{8,64}\b", "<hex>"),
        (r"(?<![\w/+-])(?=[A-Za-z+/_-]{0,200}\d)[A-Za-z0-9+/_-]{24,200}={0,2}", "<token>"),
        (r'"[^"\n]{0,500}"', "<text>"),
        (r"`[^`\n]{0,500}`", "<text>"),
        # An apostrophe within a word opens nothing.
        (r"(?<!\w)'[^'\n]{0,500}'(?!\w)", "<text>"),
        (r"(?<![\w.<])(?:/[\w.@%+~\[\]-]{1,100}){2,30}/?", "<path>"),
        (r"(?<![\w<])-?\d{1,30}(?:[.,]\d{1,30})*(?:e[+-]?\d{1,3})?", "<n>"),
        (r"\d{2,30}", "<n>"),
    )
)
_SPACE = re.compile(r"\s+")
_V8_FRAME = re.compile(
    r"^\s{0,20}at (?:async )?"
    r"(?:(?P<function>[^\s(]{1,200}(?: \[as [^\]]{1,100}\])?) \()?"
    r"(?P<file>[^()\s]{1,300}?)(?::\d+){1,2}\)?$"
)
"""Such as `at handler (/var/task/api/me.js:12:3)`, or without a function and the parentheses."""
_PYTHON_FRAME = re.compile(r'^\s{0,20}File "(?P<file>[^"]{1,300})", line \d+, in (?P<function>\S{1,200})$')
_LIBRARY = re.compile(r"(?:^|/)(?:node_modules|site-packages)/|^node:|^internal/|/lib/python\d")
_BUILD_NAME = re.compile(r"[-.][0-9a-zA-Z_-]{8,}(?=\.\w{1,5}$)")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies a kind of error. `template` is for people, `key` for comparing."""

    key: str
    template: str


def fingerprint_of(message: str) -> Fingerprint | None:
    """Return the fingerprint of an error's *message*, a stack trace included; None where it says nothing.

    The kind is the first line without its variable parts and, where there is a stack trace, the innermost frame of the
    application's own code, without line and column, which move with every release.
    """
    lines = [line for line in _plain(message).splitlines() if line.strip()]
    frames = [frame for line in lines if (frame := _frame(line))]
    headline = next((line for line in lines if _frame(line) is None and not _is_preamble(line)), "")
    if frames and frames[0].is_python:
        # Python tells the error last, and the innermost frame just before it.
        headline = next(
            (line for line in reversed(lines) if _frame(line) is None and not line.startswith(" ")), headline
        )
        frames.reverse()
    template = normalise(headline)
    own = next((frame for frame in frames if not frame.is_library), frames[0] if frames else None)
    if not template and own is None:
        return None
    whole = " at ".join(part for part in (template, own.name if own else "") if part)
    key = hashlib.sha256(whole.encode()).hexdigest()[:_KEY_CHARACTERS]
    return Fingerprint(key, whole[:TEMPLATE_CHARACTERS_MAX])


def normalise(text: str) -> str:
    """Return *text* with everything that differs from one request to the next replaced by what it is."""
    plain = _plain(text)
    for pattern, placeholder in _VARIABLE_PARTS:
        plain = pattern.sub(placeholder, plain)
    return _SPACE.sub(" ", plain).strip()


@dataclass(frozen=True, slots=True)
class _Frame:
    """One line of a stack trace: file and function as they are in every release."""

    name: str
    is_library: bool
    is_python: bool


def _frame(line: str) -> _Frame | None:
    for pattern in (_V8_FRAME, _PYTHON_FRAME):
        if found := pattern.match(line):
            file = found["file"]
            base = _BUILD_NAME.sub("", file.rsplit("/", 1)[-1])
            function = (found["function"] or "").removeprefix("async ")
            name = f"{function} ({base})" if function else base
            return _Frame(normalise(name), bool(_LIBRARY.search(file)), is_python=pattern is _PYTHON_FRAME)
    return None


def _is_preamble(line: str) -> bool:
    return line.startswith("Traceback (most recent call last)")


def _plain(text: str) -> str:
    return _TERMINAL_CODES.sub("", text[:MESSAGE_CHARACTERS_MAX]).replace("\x00", "")
