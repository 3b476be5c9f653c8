"""Reads one YAML file, strictly, into a tree in which every key and value knows its place.

What YAML 1.1 and 1.2 read differently is refused, and so are duplicate keys, aliases, tags and a second document: a
safety setting must mean what it seems to mean.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from daemon.settings.problem import ConfigError, Location, Place, Problem, dotted, shown

BYTES_MAX = 4 * 1024 * 1024
DEPTH_MAX = 12


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as written. `value` is what it means without quotes; `text` is what stands there."""

    place: Place
    value: bool | int | float | str | None
    text: str
    is_quoted: bool = False
    is_from_file: bool = True


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    place: Place
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A section: each key with its own place and its value."""

    place: Place
    entries: dict[str, tuple[Place, "Node"]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands where a value was refused already, so that nothing more is said of it."""

    place: Place


Node = Scalar | Sequence | Mapping | Unreadable


class _Refused(Exception):
    """Nothing after this mistake can be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read_content(path: Path) -> bytes:
    """Return what *path* holds. Raises ConfigError when it cannot be read, or is too long."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        # `strerror` is the system's own sentence: it holds no content.
        message = f"cannot be read ({error.strerror or type(error).__name__}); name a file that this user may read"
        raise ConfigError([Problem(Place(str(path)), "", message)]) from error
    if len(content) > BYTES_MAX:
        message = f"has more than the {BYTES_MAX} bytes that are read; split the projects over several daemons"
        raise ConfigError([Problem(Place(str(path)), "", message)])
    return content


def decode_yaml(content: bytes, origin: str) -> tuple[Mapping, list[Problem]]:
    """Return what a file's *content* holds, as far as it can be read, and every mistake of its YAML."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        place = Place(origin, line, error.start - content.rfind(b"\n", 0, error.start))
        return Mapping(Place(origin, 1, 1)), [Problem(place, "", "is not UTF-8 text; save the file as UTF-8")]
    return parse_yaml(text, origin)


def parse_yaml(text: str, origin: str) -> tuple[Mapping, list[Problem]]:
    """Return what *text* holds, as far as it can be read, and every mistake of its YAML."""
    composer = _Composer(text, origin)
    try:
        root = composer.compose()
    except _Refused as refused:
        return Mapping(Place(origin, 1, 1)), [*composer.problems, refused.problem]
    return root, composer.problems


class _Composer:
    """Builds the tree from PyYAML's events. PyYAML's own composer would follow aliases and recurse without bound."""

    def __init__(self, text: str, origin: str) -> None:
        self.problems: list[Problem] = []
        self._text = text
        self._origin = origin
        self._events = self._read_events()

    def compose(self) -> Mapping:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _Refused(
                Problem(Place(self._origin), "", "is empty; begin with config/lastgood.example.yaml and name a project")
            )
        first = next(self._events)
        root = self._node(first, ())
        next(self._events)
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            self._refuse(following, (), "begins a second document; keep one, without '---' between")
        if isinstance(root, Scalar) and root.value is None:
            raise _Refused(
                Problem(Place(self._origin), "", "is empty; begin with config/lastgood.example.yaml and name a project")
            )
        if not isinstance(root, Mapping):
            raise _Refused(Problem(root.place, "", "is not a configuration; begin with a key, such as 'projects:'"))
        return root

    def _read_events(self) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(self._text, Loader=yaml.SafeLoader)
        except yaml.reader.ReaderError as error:
            raise _Refused(
                Problem(self._place_of(int(error.position)), "", "is no character that YAML allows; remove it")
            ) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            assert mark is not None, "PyYAML marks what it complains of"
            place = Place(self._origin, mark.line + 1, mark.column + 1)
            # Not chained, here and above: PyYAML's errors quote the file.
            raise _Refused(Problem(place, "", _syntax_sentence(error))) from None
        except yaml.YAMLError:
            raise _Refused(Problem(Place(self._origin), "", "is not YAML; check quotes and indentation")) from None
        except (ValueError, OverflowError):
            # PyYAML lets these out for an escape beyond Unicode: "\UFFFFFFFF".
            raise _Refused(Problem(Place(self._origin), "", "has an escape that is no character; correct it")) from None

    def _place_of(self, position: int) -> Place:
        before = self._text[:position]
        return Place(self._origin, before.count("\n") + 1, position - before.rfind("\n"))

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        assert mark is not None, "PyYAML marks each event"
        return Place(self._origin, mark.line + 1, mark.column + 1)

    def _refuse(self, event: yaml.Event, location: Location, message: str) -> Unreadable:
        place = self._place(event)
        self.problems.append(Problem(place, dotted(location), message))
        return Unreadable(place)

    def _node(self, event: yaml.Event, location: Location) -> Node:
        if len(location) > DEPTH_MAX:
            raise _Refused(
                Problem(
                    self._place(event),
                    "",
                    f"is nested deeper than {DEPTH_MAX} levels, as no setting is; remove brackets or indentation",
                )
            )
        if isinstance(event, yaml.AliasEvent):
            return self._refuse(event, location, "is an alias; write the value out, or once under 'defaults'")
        if getattr(event, "anchor", None) is not None:
            self._refuse(event, location, "has an anchor (&); remove it, aliases are not read here")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, location, "has a tag (!); remove it, the setting knows its own type")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, location)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, location)
        assert isinstance(event, yaml.ScalarEvent)
        return self._scalar(event, location)

    def _mapping(self, event: yaml.MappingStartEvent, location: Location) -> Mapping:
        mapping = Mapping(self._place(event))
        while not isinstance(key_event := next(self._events), yaml.MappingEndEvent):
            key = self._key(key_event, location)
            node = self._node(next(self._events), (*location, key or "?"))
            if key is None:
                continue
            if key in mapping.entries:
                line = mapping.entries[key][0].line
                self._refuse(key_event, (*location, key), f"is given twice, first in line {line}; keep one")
                continue
            mapping.entries[key] = (self._place(key_event), node)
        return mapping

    def _key(self, event: yaml.Event, location: Location) -> str | None:
        """Return the key as written; None when it was refused."""
        if not isinstance(event, yaml.ScalarEvent):
            if not isinstance(self._node(event, (*location, "?")), Unreadable):
                self._refuse(event, location, "has a list or section as a key; write a plain word")
            return None
        if event.value == "<<":
            self._refuse(event, location, "has a merge key (<<); write the values out, or once under 'defaults'")
            return None
        if event.anchor is not None or event.tag is not None:
            self._refuse(event, location, "has a key with an anchor or a tag; write a plain word")
        return event.value

    def _sequence(self, event: yaml.SequenceStartEvent, location: Location) -> Sequence:
        items: list[Node] = []
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(item, (*location, len(items))))
        return Sequence(self._place(event), tuple(items))

    def _scalar(self, event: yaml.ScalarEvent, location: Location) -> Scalar | Unreadable:
        text: str = event.value
        if event.style is not None:
            return Scalar(self._place(event), text, text, is_quoted=True)
        if trap := _trap(text):
            return self._refuse(event, location, trap)
        return Scalar(self._place(event), plain_value(text), text)


_INTEGER = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})\.\d{1,30}", re.ASCII)
_NULLS = {"", "~", "null", "Null", "NULL"}
_WORDS = re.compile(r"yes|no|on|off|y|n|true|false", re.IGNORECASE)
_EXPONENT = re.compile(r"[-+]?\d{1,18}(?:\.\d{0,30})?[eE][-+]?\d{1,4}", re.ASCII)
_CLOCK = re.compile(r"[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.\d*)?", re.ASCII)
_ODD_NUMBER = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0o?[0-7_]+|0\d+|\d[\d_]*_[\d_]*|\.\d+|\d+\.|\.(?:inf|nan))",
    re.ASCII | re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:[Tt \t].*)?", re.ASCII)


def plain_value(text: str) -> bool | int | float | str | None:
    """Return what *text* means without quotes: only what every version of YAML agrees on is not text."""
    if text in _NULLS:
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text


def _trap(text: str) -> str | None:
    """Return what to write instead of a value that some versions of YAML misread; None for a plain one."""
    if text in ("true", "false"):
        return None
    if _WORDS.fullmatch(text):
        return f'{text} is a yes-or-no to some readers of YAML and a word to others; write true, false or "{text}"'
    if _EXPONENT.fullmatch(text):
        return f"{shown(text)} is a number to some readers of YAML and text to others; write {_written_out(text)}"
    if _CLOCK.fullmatch(text):
        return (
            f"{shown(text)} is a number in base 60 to some readers of YAML; write a duration such as 90s, or quote it"
        )
    if _ODD_NUMBER.fullmatch(text):
        return f"{shown(text)} is read differently by the versions of YAML; write a plain decimal number, or quote it"
    if _DATE.fullmatch(text):
        return f"{shown(text)} is a date to some readers of YAML and text to others; quote it"
    return None


def _written_out(text: str) -> str:
    return f"{float(text):f}".rstrip("0").rstrip(".") if 1e-6 <= abs(float(text)) <= 1e9 else "it as a decimal number"


def _syntax_sentence(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's own words without anything longer that they quote from the file."""
    problem = re.sub(r"'[^']*'", _short_quote, error.problem or "cannot be understood")
    context = f" {error.context}" if error.context and "'" not in error.context else ""
    return f"is not YAML ({problem}{context}); check quotes, colons and indentation near here"


def _short_quote(match: re.Match[str]) -> str:
    return match[0] if len(match[0]) <= len("'...'") else "something"
