"""The part of OData's filter language that observability queries use: comparisons, and, or, not, three functions."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from daemon.emulator.errors import bad_request

Row = Mapping[str, str]
Predicate = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[(),]))"
)
_COMPARISONS: dict[str, Callable[[float | str, float | str], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def parse_filter(text: str, fields: frozenset[str]) -> Predicate:
    """Return the test that *text* describes over rows with *fields*; text that is no filter is a 400.

    Source: OASIS OData 4.01, part 2, "Filter". A number compares with a numeric field by value.
    """
    parser = _Parser(_tokens(text), fields)
    predicate = parser.disjunction(0)
    parser.expect_end()
    return predicate


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise bad_request(f"Invalid filter: unexpected {text[position:].lstrip()[:20]!r} at {position}")
        tokens.append(_Token(str(match.lastgroup), match[str(match.lastgroup)]))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent; ``or`` binds weaker than ``and``, and ``and`` weaker than ``not``."""

    def __init__(self, tokens: list[_Token], fields: frozenset[str]) -> None:
        self._tokens = tokens
        self._fields = fields
        self._position = 0

    def disjunction(self, depth: int) -> Predicate:
        """Parse ``a or b or ...``."""
        terms = [self._conjunction(depth)]
        while self._accept("or"):
            terms.append(self._conjunction(depth))
        return lambda row: any(term(row) for term in terms)

    def _conjunction(self, depth: int) -> Predicate:
        terms = [self._term(depth)]
        while self._accept("and"):
            terms.append(self._term(depth))
        return lambda row: all(term(row) for term in terms)

    def _term(self, depth: int) -> Predicate:
        if depth > _DEEPEST:
            raise bad_request(f"Invalid filter: nested deeper than {_DEEPEST}")
        if self._accept("not"):
            inner = self._term(depth + 1)
            return lambda row: not inner(row)
        if self._accept("("):
            inner = self.disjunction(depth + 1)
            self._expect(")")
            return inner
        word = self._take("word", "a field")
        if word in _FUNCTIONS:
            return self._function(_FUNCTIONS[word])
        return self._comparison(self._field(word))

    def _function(self, function: Callable[[str, str], bool]) -> Predicate:
        self._expect("(")
        field = self._field(self._take("word", "a field"))
        self._expect(",")
        part = _unquoted(self._take("text", "a text in single quotes"))
        self._expect(")")
        return lambda row: function(row[field], part)

    def _comparison(self, field: str) -> Predicate:
        name = self._take("word", "a comparison")
        if name not in _COMPARISONS:
            raise bad_request(f"Invalid filter: {name!r} is none of {sorted(_COMPARISONS)}")
        compare = _COMPARISONS[name]
        token = self._next()
        if token is not None and token.kind == "number":
            number = float(token.text)
            return lambda row: _compares_as_number(compare, row[field], number)
        if token is None or token.kind != "text":
            raise bad_request(f"Invalid filter: {field} {name} needs a number or a text in single quotes")
        text = _unquoted(token.text)
        return lambda row: compare(row[field], text)

    def _field(self, name: str) -> str:
        if name not in self._fields:
            raise bad_request(f"Invalid filter: unknown dimension {name!r}, known are {sorted(self._fields)}")
        return name

    def _next(self) -> _Token | None:
        if self._position >= len(self._tokens):
            return None
        self._position += 1
        return self._tokens[self._position - 1]

    def _take(self, kind: str, wanted: str) -> str:
        token = self._next()
        if token is None or token.kind != kind:
            found = "the end" if token is None else repr(token.text)
            raise bad_request(f"Invalid filter: expected {wanted}, found {found}")
        return token.text

    def _accept(self, text: str) -> bool:
        if self._position < len(self._tokens) and self._tokens[self._position].text == text:
            self._position += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise bad_request(f"Invalid filter: expected {text!r}")

    def expect_end(self) -> None:
        """Refuse what stands after a whole filter."""
        if self._position < len(self._tokens):
            raise bad_request(f"Invalid filter: unexpected {self._tokens[self._position].text!r}")


def _compares_as_number(compare: Callable[[float | str, float | str], bool], text: str, number: float) -> bool:
    try:
        return compare(float(text), number)
    except ValueError:
        return False


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")
