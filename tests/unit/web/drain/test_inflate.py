"""Bodies become text piece by piece; a gzip bomb is noticed before it goes off."""

import gzip
import os
import tracemalloc

import pytest

from daemon.web.drain.inflate import PIECE_BYTES, Encoding, NotGzip, TooLarge, pieces

TEXT = b"0123456789" * 100_000


def chunked(body: bytes, size: int = 64 * 1024) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def text_of(chunks: list[bytes], encoding: Encoding = Encoding.GZIP, *, bytes_max: int = 10_000_000) -> bytes:
    return b"".join(pieces(chunks, encoding, bytes_max=bytes_max))


@pytest.mark.parametrize("size", [1, 1000, 64 * 1024, 10_000_000])
def test_gzip_is_inflated_wherever_it_is_cut(size: int) -> None:
    assert text_of(chunked(gzip.compress(TEXT), size)) == TEXT


@pytest.mark.parametrize("level", [0, 1, 9])
def test_text_that_cannot_be_compressed_comes_out_whole(level: int) -> None:
    text = os.urandom(3 * PIECE_BYTES + 7)
    assert text_of(chunked(gzip.compress(text, level))) == text


@pytest.mark.parametrize("length", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
@pytest.mark.parametrize("encoding", list(Encoding))
def test_no_piece_is_larger_than_agreed(length: int, encoding: Encoding) -> None:
    text = b"x" * length
    body = gzip.compress(text) if encoding is Encoding.GZIP else text
    found = list(pieces(chunked(body), encoding, bytes_max=length))
    assert b"".join(found) == text
    assert all(0 < len(one) <= PIECE_BYTES for one in found)


def test_several_members_are_one_text() -> None:
    assert text_of([gzip.compress(b"one ") + gzip.compress(b"two ") + gzip.compress(b"three")]) == b"one two three"


def test_an_empty_body_is_an_empty_text() -> None:
    assert text_of([]) == b""
    assert text_of([], Encoding.IDENTITY) == b""


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_text_at_its_bound_is_taken_and_one_byte_more_is_not(encoding: Encoding) -> None:
    body = [gzip.compress(TEXT) if encoding is Encoding.GZIP else TEXT]
    assert len(text_of(body, encoding, bytes_max=len(TEXT))) == len(TEXT)
    with pytest.raises(TooLarge, match=f"more than {len(TEXT) - 1} bytes"):
        text_of(body, encoding, bytes_max=len(TEXT) - 1)


def test_a_bomb_is_noticed_while_little_of_it_is_inflated() -> None:
    bomb = gzip.compress(b"\0" * 20_000_000, 1)
    tracemalloc.start()
    with pytest.raises(TooLarge):
        sum(len(piece) for piece in pieces([bomb], Encoding.GZIP, bytes_max=1_000_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * PIECE_BYTES


@pytest.mark.parametrize(
    "body",
    [gzip.compress(TEXT)[:-1], gzip.compress(TEXT)[:100], b"plain text", gzip.compress(b"one") + b"rest", b"\x1f\x8b"],
    ids=["without its last byte", "half", "plain", "rest", "header"],
)
def test_what_is_no_whole_gzip_is_told(body: bytes) -> None:
    with pytest.raises(NotGzip):
        text_of([body])


def test_a_flipped_bit_is_noticed() -> None:
    body = bytearray(gzip.compress(b"x" * 1000))
    body[-6] ^= 1
    with pytest.raises(NotGzip, match="no gzip"):
        text_of([bytes(body)])
