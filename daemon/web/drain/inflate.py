"""Bodies as text, in pieces of bounded size: nothing is inflated beyond what was agreed to."""

import zlib
from collections.abc import Iterable, Iterator
from enum import StrEnum

PIECE_BYTES = 256 * 1024
"""About two hundred entries, which take well under a millisecond each to inflate, to decode and to count."""
_GZIP_ONLY = 31
"""`wbits` for a gzip header and the largest window. Source: Python's zlib, `decompressobj`."""


class Encoding(StrEnum):
    """The content encodings that a drain may have. Source: Vercel OpenAPI, createDrain, `delivery.compression`."""

    GZIP = "gzip"
    IDENTITY = "identity"


class TooLarge(ValueError):
    """The body holds more than is taken."""


class NotGzip(ValueError):
    """The body is no gzip, or ends too early."""


def pieces(chunks: Iterable[bytes], encoding: Encoding, *, bytes_max: int) -> Iterator[bytes]:
    """Yield the text of a body that came in *chunks*, in pieces of about PIECE_BYTES.

    Raises TooLarge as soon as it has more than *bytes_max* bytes, and NotGzip; what was yielded before was good.
    """
    total = 0
    for piece in _inflated(chunks) if encoding is Encoding.GZIP else _gathered(chunks):
        total += len(piece)
        if total > bytes_max:
            raise TooLarge(f"the batch has more than {bytes_max} bytes once inflated")
        yield piece


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    length = 0
    for chunk in chunks:
        waiting.append(chunk)
        length += len(chunk)
        if length >= PIECE_BYTES:
            yield from _cut(b"".join(waiting))
            waiting, length = [], 0
    if waiting:
        yield from _cut(b"".join(waiting))


def _cut(text: bytes) -> Iterator[bytes]:
    for begin in range(0, len(text), PIECE_BYTES):
        yield text[begin : begin + PIECE_BYTES]


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip members inflate to; a file may hold several. Source: RFC 1952, section 2.2."""
    inflater = zlib.decompressobj(_GZIP_ONLY)
    has_begun = False
    try:
        for chunk in chunks:
            left = chunk
            while left:
                if inflater.eof:
                    inflater = zlib.decompressobj(_GZIP_ONLY)
                has_begun = True
                piece = inflater.decompress(left, PIECE_BYTES)
                # A member's checksum is not taken before all of its text was given, so that text is never left over.
                left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
                if piece:
                    yield piece
    except zlib.error as error:
        raise NotGzip(f"the batch is no gzip ({error})") from error
    if has_begun and not inflater.eof:
        raise NotGzip("the batch ends within its gzip")
