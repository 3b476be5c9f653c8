"""The part of OData's filter language that observability queries use: comparisons, in, three functions."""

import operator
import re
from collections.abc import Callable, Mapping

from daemon.emulator.filters import FilterParser, Predicate

Row = Mapping[str, str]

_Compare = Callable[[float | str, float | str], bool]
_COMPARISONS: dict[str, _Compare] = {
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


def parse_filter(text: str, fields: frozenset[str]) -> Predicate:
    """Return the test that *text* describes over rows with *fields*; text that is no filter is a 400.

    Source: OASIS OData 4.01, part 2, "Filter". A number compares with a numeric field by value.
    """
    return _Parser(text, fields).parse()


class _Parser(FilterParser):
    pattern = re.compile(
        r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[(),]))"
    )

    def __init__(self, text: str, fields: frozenset[str]) -> None:
        super().__init__(text)
        self._fields = fields

    def condition(self) -> Predicate:
        word = self._take("word", "a field")
        if word in _FUNCTIONS:
            return self._function(_FUNCTIONS[word])
        return self._comparison(self._field(word))

    def _function(self, function: Callable[[str, str], bool]) -> Predicate:
        self.expect("(")
        field = self._field(self._take("word", "a field"))
        self.expect(",")
        part = _unquoted(self._take("text", "a text in single quotes"))
        self.expect(")")
        return lambda row: function(row[field], part)

    def _comparison(self, field: str) -> Predicate:
        name = self._take("word", "a comparison")
        if name == "in":
            return self._membership(field)
        if name not in _COMPARISONS:
            raise self.refusal(f"{name!r} is none of {[*sorted(_COMPARISONS), 'in']}")
        return self._test(field, name, _COMPARISONS[name])

    def _membership(self, field: str) -> Predicate:
        self.expect("(")
        tests = [self._test(field, "in", operator.eq)]
        while self.accepts(","):
            tests.append(self._test(field, "in", operator.eq))
        self.expect(")")
        return lambda row: any(test(row) for test in tests)

    def _test(self, field: str, name: str, compare: _Compare) -> Predicate:
        token = self.peek()
        if token is None or token.kind not in {"number", "text"}:
            raise self.refusal(f"{field} {name} needs a number or a text in single quotes")
        self.take("a value")
        if token.kind == "number":
            number = float(token.text)
            return lambda row: _compares_as_number(compare, row[field], number)
        text = _unquoted(token.text)
        return lambda row: compare(row[field], text)

    def _field(self, name: str) -> str:
        if name not in self._fields:
            raise self.refusal(f"unknown dimension {name!r}, known are {sorted(self._fields)}")
        return name

    def _take(self, kind: str, wanted: str) -> str:
        token = self.take(wanted)
        if token.kind != kind:
            raise self.refusal(f"expected {wanted}, found {token.text!r}")
        return token.text


def _compares_as_number(compare: _Compare, text: str, number: float) -> bool:
    try:
        return compare(float(text), number)
    except ValueError:
        return False


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")
