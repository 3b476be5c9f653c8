"""The KQL-like filter language of Vercel's newer observability routes: ``field:value``, comparisons, and, or, not.

Source: Vercel CLI 64.0.2, ``logs --help`` and ``metrics --help``, "KQL-inspired".
"""

import operator
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from daemon.emulator.errors import ApiError, bad_request
from daemon.emulator.filters import FilterParser, Predicate, Token

_Test = Callable[[Any], bool]


class FieldKind(StrEnum):
    """What a field holds, and so how it compares."""

    TEXT = "text"
    NUMBER = "number"
    TRUTH = "truth"


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ":": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_CONNECTIVES = ("and", "or", "not")


def parse_kql(text: str, fields: Mapping[str, FieldKind], *, searched: str | None = None) -> Predicate:
    """Return the test that *text* describes over records with *fields*; text that is no filter is a 400.

    Bare words search the field *searched*, ignoring case; None means that they are an error.
    """
    return _Parser(text, fields, searched).parse()


class _Parser(FilterParser):
    """``and`` may be left out, and connectives may be written in capitals."""

    pattern = re.compile(
        r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<mark>>=|<=|!=|[():=<>])|(?P<word>(?:[^\s()\":=<>!\\]|\\.|!(?!=))+))"
    )

    def __init__(self, text: str, fields: Mapping[str, FieldKind], searched: str | None) -> None:
        super().__init__(text)
        self._fields = fields
        self._searched = searched

    def refusal(self, message: str) -> ApiError:
        return bad_request(f"Invalid filter: {message}", issues=[{"path": "filter", "message": message}])

    def is_connective(self, token: Token, name: str) -> bool:
        return token.kind == "word" and token.text.lower() == name

    def continues(self) -> bool:
        return super().continues() or self._begins_a_term()

    def _begins_a_term(self) -> bool:
        token = self.peek()
        return token is not None and token.text != ")" and not self.is_connective(token, "or")

    def condition(self) -> Predicate:
        token = self.take("a field or a value")
        following = self.peek()
        if token.kind == "word" and following is not None and following.text in _COMPARISONS:
            return self._comparison(token.text)
        if not self._is_value(token):
            raise self.refusal(f"unexpected {token.text!r}")
        if self._searched is None:
            raise self.refusal(f"{token.text!r} is no condition: write field:value")
        wanted, searched = _unescaped(token).strip("*").lower(), self._searched
        return lambda record: wanted in str(record.get(searched) or "").lower()

    def _is_value(self, token: Token) -> bool:
        return token.kind != "mark" and not any(self.is_connective(token, name) for name in _CONNECTIVES)

    def _comparison(self, field: str) -> Predicate:
        kind = self._fields.get(field)
        if kind is None:
            raise self.refusal(f"unknown field {field!r}, known are {sorted(self._fields)}")
        sign = self.take("a comparison").text
        if sign in {":", "="} and self.accepts("("):
            tests = [self._test(field, kind, sign)]
            while self.accepts_connective("or") or self._begins_a_value():
                tests.append(self._test(field, kind, sign))
            self.expect(")")
        else:
            tests = [self._test(field, kind, sign)]
        return lambda record: any(test(record.get(field)) for test in tests)

    def _begins_a_value(self) -> bool:
        token = self.peek()
        return token is not None and token.kind != "mark"

    def _test(self, field: str, kind: FieldKind, sign: str) -> _Test:
        token = self.take(f"a value for {field}")
        if not self._is_value(token):
            raise self.refusal(f"{field} {sign} needs a value, found {token.text!r}")
        if token == Token("word", "*"):
            return _is_present if sign in {":", "="} else _is_absent
        compare = _COMPARISONS[sign]
        match kind:
            case FieldKind.NUMBER:
                number = self._number(field, _unescaped(token))
                return lambda value: value is not None and compare(float(value), number)
            case FieldKind.TRUTH:
                truth = _unescaped(token).lower() == "true"
                return lambda value: compare(bool(value), truth)
            case FieldKind.TEXT:
                return _text_test(token, compare, is_pattern=token.kind == "word" and "*" in token.text)

    def _number(self, field: str, text: str) -> float:
        try:
            return float(text)
        except ValueError as error:
            raise self.refusal(f"{field} is a number, {text!r} is none") from error


def _is_present(value: Any) -> bool:
    return value not in (None, "")


def _is_absent(value: Any) -> bool:
    return not _is_present(value)


def _text_test(token: Token, compare: Callable[[Any, Any], bool], *, is_pattern: bool) -> _Test:
    if not is_pattern:
        text = _unescaped(token)
        return lambda value: compare("" if value is None else str(value), text)
    parts = re.split(r"(?<!\\)\*", token.text)
    pattern = re.compile(".*".join(re.escape(re.sub(r"\\(.)", r"\1", part)) for part in parts), re.DOTALL)
    wants_match = compare is operator.eq
    return lambda value: (pattern.fullmatch("" if value is None else str(value)) is not None) == wants_match


def _unescaped(token: Token) -> str:
    text = token.text[1:-1] if token.kind == "text" else token.text
    return re.sub(r"\\(.)", r"\1", text)
