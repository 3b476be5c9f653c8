"""Ids and hosts in Vercel's forms, derived from names so that the same scenario always has the same ones."""

import hashlib
import string

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LOWER = string.digits + string.ascii_lowercase


def base62(*parts: object, length: int) -> str:
    """Return *length* base-62 digits that depend on *parts* only."""
    return _digits(parts, _BASE62, length)


def host_label(*parts: object, length: int = 9) -> str:
    """Return *length* lower-case letters and digits that depend on *parts* only."""
    return _digits(parts, _LOWER, length)


def commit_sha(*parts: object) -> str:
    """Return 40 hexadecimal digits that depend on *parts* only."""
    return _digest(parts).hex()[:40]


def _digits(parts: tuple[object, ...], alphabet: str, length: int) -> str:
    number = int.from_bytes(_digest(parts), "big")
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(digits)


def _digest(parts: tuple[object, ...]) -> bytes:
    return hashlib.sha256("\x00".join(str(part) for part in parts).encode()).digest()
