"""The KQL-like filter language of Vercel's newer observability routes: ``field:value``, comparisons, and, or, not.

Source: Vercel CLI 64.0.2, ``logs --help`` and ``metrics --help``, "KQL-inspired".
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from daemon.emulator.errors import ApiError, bad_request

Record = Mapping[str, Any]
Predicate = Callable[[Record], bool]
_Test = Callable[[Any], bool]


class FieldKind(StrEnum):
    """What a field holds, and so how it compares."""

    TEXT = "text"
    NUMBER = "number"
    TRUTH = "truth"


_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<mark>>=|<=|!=|[():=<>])|(?P<word>(?:[^\s()\":=<>!\\]|\\.|!(?!=))+))"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ":": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_CONNECTIVES = frozenset({"and", "or", "not"})
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    def is_connective(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word


def parse_kql(text: str, fields: Mapping[str, FieldKind], *, searched: str | None = None) -> Predicate:
    """Return the test that *text* describes over records with *fields*; text that is no filter is a 400.

    Bare words search the field *searched*, ignoring case; None means that they are an error.
    """
    parser = _Parser(_tokens(text), fields, searched)
    predicate = parser.disjunction(0)
    parser.expect_end()
    return predicate


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _invalid(f"unexpected {text[position:].lstrip()[:20]!r} at {position}")
        tokens.append(_Token(str(match.lastgroup), match[str(match.lastgroup)]))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent; ``or`` binds weaker than ``and`` (which may be left out), and ``and`` weaker than ``not``."""

    def __init__(self, tokens: list[_Token], fields: Mapping[str, FieldKind], searched: str | None) -> None:
        self._tokens = tokens
        self._fields = fields
        self._searched = searched
        self._position = 0

    def disjunction(self, depth: int) -> Predicate:
        """Parse ``a OR b OR ...``."""
        terms = [self._conjunction(depth)]
        while self._accepts_connective("or"):
            terms.append(self._conjunction(depth))
        return terms[0] if len(terms) == 1 else lambda record: any(term(record) for term in terms)

    def _conjunction(self, depth: int) -> Predicate:
        terms = [self._term(depth)]
        while self._accepts_connective("and") or self._begins_a_term():
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else lambda record: all(term(record) for term in terms)

    def _begins_a_term(self) -> bool:
        token = self._peek()
        return token is not None and token.text != ")" and not token.is_connective("or")

    def _term(self, depth: int) -> Predicate:
        if depth > _DEEPEST:
            raise _invalid(f"nested deeper than {_DEEPEST}")
        if self._accepts_connective("not"):
            inner = self._term(depth + 1)
            return lambda record: not inner(record)
        if self._accepts("("):
            inner = self.disjunction(depth + 1)
            self._expect(")")
            return inner
        return self._field_or_search()

    def _field_or_search(self) -> Predicate:
        token = self._next("a field or a value")
        following = self._peek()
        if token.kind == "word" and following is not None and following.text in _COMPARISONS:
            return self._comparison(token.text)
        if token.kind == "mark" or (token.kind == "word" and token.text.lower() in _CONNECTIVES):
            raise _invalid(f"unexpected {token.text!r}")
        if self._searched is None:
            raise _invalid(f"{token.text!r} is no condition: write field:value")
        wanted, searched = _unescaped(token).strip("*").lower(), self._searched
        return lambda record: wanted in str(record.get(searched) or "").lower()

    def _comparison(self, field: str) -> Predicate:
        kind = self._fields.get(field)
        if kind is None:
            raise _invalid(f"unknown field {field!r}, known are {sorted(self._fields)}")
        sign = self._next("a comparison").text
        if sign in {":", "="} and self._accepts("("):
            tests = [self._test(field, kind, sign)]
            while self._accepts_connective("or") or self._begins_a_value():
                tests.append(self._test(field, kind, sign))
            self._expect(")")
        else:
            tests = [self._test(field, kind, sign)]
        return lambda record: any(test(record.get(field)) for test in tests)

    def _begins_a_value(self) -> bool:
        token = self._peek()
        return token is not None and token.kind != "mark"

    def _test(self, field: str, kind: FieldKind, sign: str) -> _Test:
        token = self._next(f"a value for {field}")
        if token.kind == "mark" or (token.kind == "word" and token.text.lower() in _CONNECTIVES):
            raise _invalid(f"{field} {sign} needs a value, found {token.text!r}")
        if token == _Token("word", "*"):
            return _is_present if sign in {":", "="} else _is_absent
        compare = _COMPARISONS[sign]
        match kind:
            case FieldKind.NUMBER:
                number = _number(field, _unescaped(token))
                return lambda value: value is not None and compare(float(value), number)
            case FieldKind.TRUTH:
                truth = _unescaped(token).lower() == "true"
                return lambda value: compare(bool(value), truth)
            case FieldKind.TEXT:
                return _text_test(token, compare, is_pattern=token.kind == "word" and "*" in token.text)

    def _peek(self) -> _Token | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _next(self, wanted: str) -> _Token:
        token = self._peek()
        if token is None:
            raise _invalid(f"expected {wanted}, found the end")
        self._position += 1
        return token

    def _accepts(self, mark: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "mark" or token.text != mark:
            return False
        self._position += 1
        return True

    def _accepts_connective(self, word: str) -> bool:
        token = self._peek()
        if token is None or not token.is_connective(word):
            return False
        self._position += 1
        return True

    def _expect(self, mark: str) -> None:
        if not self._accepts(mark):
            raise _invalid(f"expected {mark!r}")

    def expect_end(self) -> None:
        """Refuse what stands after a whole filter."""
        token = self._peek()
        if token is not None:
            raise _invalid(f"unexpected {token.text!r}")


def _is_present(value: Any) -> bool:
    return value not in (None, "")


def _is_absent(value: Any) -> bool:
    return not _is_present(value)


def _text_test(token: _Token, compare: Callable[[Any, Any], bool], *, is_pattern: bool) -> _Test:
    if not is_pattern:
        text = _unescaped(token)
        return lambda value: compare("" if value is None else str(value), text)
    parts = re.split(r"(?<!\\)\*", token.text)
    pattern = re.compile(".*".join(re.escape(re.sub(r"\\(.)", r"\1", part)) for part in parts), re.DOTALL)
    wants_match = compare is operator.eq
    return lambda value: (pattern.fullmatch("" if value is None else str(value)) is not None) == wants_match


def _unescaped(token: _Token) -> str:
    text = token.text[1:-1] if token.kind == "text" else token.text
    return re.sub(r"\\(.)", r"\1", text)


def _number(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _invalid(f"{field} is a number, {text!r} is none") from error


def _invalid(message: str) -> ApiError:
    return bad_request(f"Invalid filter: {message}", issues=[{"path": "filter", "message": message}])
