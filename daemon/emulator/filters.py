"""What both filter languages share: tokens, ``or``, ``and``, ``not`` and brackets around a language's conditions."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from daemon.emulator.errors import ApiError, bad_request

Predicate = Callable[[Mapping[str, Any]], bool]
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a filter. ``kind`` is the group of the language's pattern that matched: word, mark and others."""

    kind: str
    text: str


class FilterParser(ABC):
    """Recursive descent; ``or`` binds weaker than ``and``, and ``and`` weaker than ``not``."""

    pattern: ClassVar[re.Pattern[str]]
    """What a token is, after white space; a group of this pattern names its kind."""

    def __init__(self, text: str) -> None:
        """Cut *text* into tokens; a place where none begins is a 400."""
        self._tokens: list[Token] = []
        self._position = 0
        text, position = text.rstrip(), 0
        while position < len(text):
            match = self.pattern.match(text, position)
            if match is None:
                raise self.refusal(f"unexpected {text[position:].lstrip()[:20]!r} at {position}")
            kind = str(match.lastgroup)
            self._tokens.append(Token(kind, match[kind]))
            position = match.end()

    @abstractmethod
    def condition(self) -> Predicate:
        """Parse what stands between the connectives."""

    def refusal(self, message: str) -> ApiError:
        """Return the 400 for text that is no filter."""
        return bad_request(f"Invalid filter: {message}")

    def is_connective(self, token: Token, name: str) -> bool:
        """Tell whether *token* is the connective *name*, one of ``or``, ``and`` and ``not``."""
        return token.kind == "word" and token.text == name

    def continues(self) -> bool:
        """Pass over what joins one condition to the next that must hold too; tell whether there is one."""
        return self.accepts_connective("and")

    def parse(self) -> Predicate:
        """Return the test that the whole text describes; anything else is a 400."""
        predicate = self._disjunction(0)
        token = self.peek()
        if token is not None:
            raise self.refusal(f"unexpected {token.text!r}")
        return predicate

    def _disjunction(self, depth: int) -> Predicate:
        terms = [self._conjunction(depth)]
        while self.accepts_connective("or"):
            terms.append(self._conjunction(depth))
        return terms[0] if len(terms) == 1 else lambda record: any(term(record) for term in terms)

    def _conjunction(self, depth: int) -> Predicate:
        terms = [self._term(depth)]
        while self.continues():
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else lambda record: all(term(record) for term in terms)

    def _term(self, depth: int) -> Predicate:
        if depth > _DEEPEST:
            raise self.refusal(f"nested deeper than {_DEEPEST}")
        if self.accepts_connective("not"):
            inner = self._term(depth + 1)
            return lambda record: not inner(record)
        if self.accepts("("):
            inner = self._disjunction(depth + 1)
            self.expect(")")
            return inner
        return self.condition()

    # For the conditions of a language

    def peek(self) -> Token | None:
        """Return the next token and stay before it; None at the end."""
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def take(self, wanted: str) -> Token:
        """Return the next token and pass over it; at the end it is a 400 that names what was *wanted*."""
        token = self.peek()
        if token is None:
            raise self.refusal(f"expected {wanted}, found the end")
        self._position += 1
        return token

    def accepts(self, mark: str) -> bool:
        """Pass over *mark* if it is next; tell whether it was."""
        return self._passes(lambda token: token == Token("mark", mark))

    def expect(self, mark: str) -> None:
        """Pass over *mark*; anything else is a 400."""
        if not self.accepts(mark):
            raise self.refusal(f"expected {mark!r}")

    def accepts_connective(self, name: str) -> bool:
        """Pass over the connective *name* if it is next; tell whether it was."""
        return self._passes(lambda token: self.is_connective(token, name))

    def _passes(self, fits: Callable[[Token], bool]) -> bool:
        token = self.peek()
        if token is None or not fits(token):
            return False
        self._position += 1
        return True
