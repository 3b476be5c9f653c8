"""Mistakes in a configuration: where each is, which key, what is wrong and what to write instead; never a secret."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Location = tuple[str | int, ...]
"""The way to a key: ("projects", 0, "posture")."""

TEXT_SHOWN_MAX = 16
"""Longer text is not repeated in a message: it may be a token in the wrong place, and those are longer."""
KEY_SHOWN_MAX = 40
_PRINTABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_WORD = re.compile(r"[a-z_]+|[A-Z_]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written. Lines and columns count from 1; both are 0 for a variable or a file as a whole."""

    origin: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}" if self.line else self.origin


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, or one warning. `key` is empty when the trouble is not with one key."""

    place: Place
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.key, self.message) if part)


class ConfigError(Exception):
    """A configuration that is refused, with every mistake found in it. It holds no value that may be a secret."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        assert problems, "a refusal has a reason"
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return distinct *problems* by position: those of the file first, then variables and other files by name."""
    return sorted(
        dict.fromkeys(problems),
        key=lambda one: (one.place.line == 0, one.place.line, one.place.column, one.place.origin, one.key, one.message),
    )


def shown(text: str) -> str:
    """Return *text* in quotes, or only its length when it is long enough to be a token."""
    if len(text) <= TEXT_SHOWN_MAX and _PRINTABLE.fullmatch(text):
        return f'"{text}"'
    return f"this text of {len(text)} characters"


def shown_key(key: str) -> str:
    """Return *key* as written, or only its length when it is no word and long enough to be a token."""
    is_word = len(key) <= KEY_SHOWN_MAX and _WORD.fullmatch(key)
    is_short = len(key) <= TEXT_SHOWN_MAX and _PRINTABLE.fullmatch(key)
    return key if is_word or is_short else f"(a key of {len(key)} characters)"


def dotted(location: Location) -> str:
    """Return *location* as people write it: `projects[0].posture`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{shown_key(part)}" for part in location]
    return "".join(parts).removeprefix(".")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that *word* was probably meant to be; None when none is near."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None
