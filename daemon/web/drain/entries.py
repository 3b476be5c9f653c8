"""What a drain's batch holds, decoded to the few fields that counting needs, piece by piece so that nobody waits long.

Source: Vercel docs, Log Drains reference, schema v1. A batch is a JSON array, or objects one after the other, with line
breaks, commas or nothing between them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Annotated

import msgspec

ENTRY_BYTES_MAX = 4 * 1024 * 1024
"""A line of the log has at most 256 KB of text."""
_SEAMS_TRIED_MAX = 4
_WINDOW_BYTES = 16 * 1024
"""Where the last seam of a piece mostly lies."""
_ID_LENGTH_MAX = 256
# Possessive, or much white space would take time by the square of its length.
_SEAM = re.compile(rb"\}\s*+(?:,\s*+)?\{")

Id = Annotated[str, msgspec.Meta(max_length=_ID_LENGTH_MAX)]


class Origin(StrEnum):
    """`source`: what wrote the entry."""

    BUILD = "build"
    EDGE = "edge"
    LAMBDA = "lambda"
    STATIC = "static"
    EXTERNAL = "external"
    FIREWALL = "firewall"
    REDIRECT = "redirect"
    OTHER = ""

    @classmethod
    def _missing_(cls, value: object) -> "Origin":
        return cls.OTHER


class Environment(StrEnum):
    """`environment`: production means that a production domain was asked."""

    PRODUCTION = "production"
    PREVIEW = "preview"
    OTHER = ""

    @classmethod
    def _missing_(cls, value: object) -> "Environment":
        return cls.OTHER


class PathType(StrEnum):
    """`proxy.pathType`: what answered."""

    FUNCTION = "func"
    PRERENDER = "prerender"
    BACKGROUND = "background_func"
    EDGE = "edge"
    MIDDLEWARE = "middleware"
    STREAMING = "streaming_func"
    PARTIAL_PRERENDER = "partial_prerender"
    EXTERNAL = "external"
    STATIC = "static"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"
    API = "api"
    OTHER = ""

    @classmethod
    def _missing_(cls, value: object) -> "PathType":
        return cls.OTHER


# The garbage collector need not look at them: they hold no cycles.
class Proxy(msgspec.Struct, gc=False, rename="camel"):
    """The request as the platform's proxy saw it.

    `status_code` is what the visitor got; -1 is a page rebuilt in the background, None or 0 says nothing.
    """

    status_code: int | None = None
    path_type: PathType | None = None
    waf_action: str | None = None
    vercel_id: Id | None = None


class Entry(msgspec.Struct, gc=False, rename="camel"):
    """One line of the log. `path` is the route, `status_code` -1 a function that crashed before it answered.

    `timestamp` is in milliseconds since the epoch.
    """

    project_id: Id
    deployment_id: Id
    timestamp: int
    source: Origin | None = None
    environment: Environment | None = None
    request_id: Id | None = None
    path: str | None = None
    status_code: int | None = None
    proxy: Proxy | None = None


class Fragment(msgspec.Struct, gc=False, rename="camel"):
    """What can be said of an entry that is not of the promised form: whether it matters, and to whom."""

    project_id: Id
    environment: Environment | None = None


class Torn(ValueError):
    """The batch is no JSON, ends too early, or has an entry that is larger than any log line."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some entries of a batch. `unusable` are those that are not of the promised form, None where nothing is known."""

    entries: Sequence[Entry]
    unusable: Sequence[Fragment | None] = ()


decode_lines = msgspec.json.Decoder(Entry).decode_lines
decode_array = msgspec.json.Decoder(list[Entry]).decode
_decode_entry = msgspec.json.Decoder(Entry).decode
_decode_raw_lines = msgspec.json.Decoder(msgspec.Raw).decode_lines
_decode_raw_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_fragment = msgspec.json.Decoder(Fragment).decode


class Unpacker:
    """Decodes a batch that comes in pieces, cut anywhere; holds no more of it than the entry that is not whole yet.

    What looks like the seam between two entries may lie within one. Text that was cut there is never valid JSON, for a
    string or a bracket is left open in it, so that the seam before is tried.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._has_begun = False
        self._has_commas: bool | None = None
        """Whether there are commas between entries; None while that is not known."""
        self._is_array = False

    def feed(self, piece: bytes) -> Slice | None:
        """Return the entries that *piece* completes; None where it completes none. Raises Torn."""
        text = self._rest + piece
        if not self._has_begun:
            text = text.lstrip()
            if not text:
                return None
            self._has_begun = True
            if text.startswith(b"["):
                self._is_array = self._has_commas = True
                text = text[1:]
        for seam in _seams(text):
            found = self.decoded(memoryview(text)[: seam.start() + 1])
            if found is not None:
                self._rest = text[seam.end() - 1 :]
                return found
        if len(text) > ENTRY_BYTES_MAX:
            raise Torn(f"no entry ends within {len(text)} bytes")
        self._rest = text
        return None

    def finish(self) -> Slice | None:
        """Return the last entries; None where there are none. Raises Torn."""
        text, self._rest = self._rest.strip(), b""
        if self._is_array:
            if not text.endswith(b"]"):
                raise Torn("the array does not end")
            text = text[:-1]
        if not text:
            return None
        found = self.decoded(text)
        if found is None:
            raise Torn("the batch is not JSON, or ends too early")
        return found

    def decoded(self, text: bytes | memoryview) -> Slice | None:
        """Return the entries of *text*; None when it is no JSON. Objects without brackets may have commas or not."""
        for has_commas in (False, True) if self._has_commas is None else (self._has_commas,):
            try:
                found: Slice | None = Slice(
                    decode_array(b"".join((b"[", text, b"]"))) if has_commas else decode_lines(text)
                )
            except msgspec.ValidationError:
                found = _one_by_one(text, has_commas=has_commas)
            except (msgspec.DecodeError, RecursionError):
                continue
            if found is not None:
                if len(found.entries) > 1:
                    self._has_commas = has_commas
                return found
        return None


def _seams(text: bytes) -> Iterator[re.Match[bytes]]:
    """Yield what may be the last seam in *text*, the likeliest first, and not many.

    At its end lies an entry that is not whole, mostly a short one; if none of the seams there is one, that entry is a
    long one that looks like many, and the seam is before it.
    """
    near = list(_SEAM.finditer(text, max(0, len(text) - _WINDOW_BYTES)))
    yield from reversed(near[-_SEAMS_TRIED_MAX:])
    for window in (4 * _WINDOW_BYTES, 16 * _WINDOW_BYTES, 64 * _WINDOW_BYTES, len(text)):
        begin = max(0, len(text) - window)
        yield from islice(_SEAM.finditer(text, begin, max(0, len(text) - _WINDOW_BYTES)), _SEAMS_TRIED_MAX // 2)
        if not begin:
            return


def _one_by_one(text: bytes | memoryview, *, has_commas: bool) -> Slice | None:
    """Return what can be used of a text in which something is not of the promised form; None when it is no JSON."""
    try:
        raws = _decode_raw_array(b"".join((b"[", text, b"]"))) if has_commas else _decode_raw_lines(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    entries: list[Entry] = []
    unusable: list[Fragment | None] = []
    for raw in raws:
        try:
            entries.append(_decode_entry(raw))
        except (msgspec.DecodeError, RecursionError):
            unusable.append(_fragment_of(raw))
    return Slice(entries, unusable)


def _fragment_of(raw: msgspec.Raw) -> Fragment | None:
    try:
        return _decode_fragment(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
