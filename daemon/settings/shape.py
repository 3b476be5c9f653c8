"""Turns what was written into the values that the models want, noting every mistake on the way.

The models' own bounds come after it; here are the questions that need the written text: unknown keys, wrong types,
durations without a unit, percentages.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from daemon.settings.duration import EXAMPLES, format_duration, parse_duration
from daemon.settings.files import Mapping, Node, Scalar, Sequence, Unreadable, plain_value
from daemon.settings.problem import Location, Place, nearest, shown


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at `location`, found at `place`."""

    location: Location
    place: Place
    message: str


class Nothing(Enum):
    """The value of what cannot be used; its key is left out, as if it had not been written."""

    NOTHING = 0


NOTHING: Final = Nothing.NOTHING
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one key takes: `type` without None and annotations; `is_ratio` for a number between 0 and 1."""

    type: Any
    is_ratio: bool = False

    @classmethod
    def by(cls, field: FieldInfo) -> "Wanted":
        """Return what *field* takes."""
        return cls.of(field.annotation, field.metadata)

    @classmethod
    def of(cls, annotation: Any, metadata: Iterable[Any] = ()) -> "Wanted":
        """Return what a field of this annotation takes, with what was noted beside it."""
        annotation, notes = unwrap(annotation, metadata)
        highest = [note.le if isinstance(note, Le) else note.lt for note in notes if isinstance(note, (Le, Lt))]
        return cls(annotation, is_ratio=annotation is float and any(bound == 1 for bound in highest))

    @property
    def item(self) -> Any:
        """The type of a list's items; None when this is not a list."""
        return get_args(self.type)[0] if get_origin(self.type) in (tuple, list) else None

    @property
    def named(self) -> Any:
        """The type of a section's values under names of the writer's choice; None when this is no such section."""
        return get_args(self.type)[1] if get_origin(self.type) is dict else None

    @property
    def kinds(self) -> dict[str, type[BaseModel]]:
        """The models that `kind:` chooses from; empty when `kind:` has no meaning here."""
        members = get_args(self.type) if get_origin(self.type) in (Union, UnionType) else (self.type,)
        return {
            member.model_fields["kind"].default: member
            for member in members
            if _is_model(member) and "kind" in member.model_fields
        }

    @property
    def beside(self) -> Any:
        """What may be written in place of a word, as in `sustain: auto`; None where only words may, or none."""
        if get_origin(self.type) not in (Union, UnionType):
            return None
        members = get_args(self.type)
        others = [one for one in members if get_origin(one) is not Literal]
        return others[0] if len(others) == 1 < len(members) else None

    @property
    def words(self) -> tuple[str, ...]:
        """The closed set of words; empty when it is not one."""
        if get_origin(self.type) is Literal:
            return tuple(str(word) for word in get_args(self.type))
        if self.beside is not None:
            return tuple(word for one in get_args(self.type) for word in Wanted(one).words)
        if isinstance(self.type, type) and issubclass(self.type, Enum):
            return tuple(str(member.value) for member in self.type)
        return ()


def unwrap(annotation: Any, metadata: Iterable[Any]) -> tuple[Any, list[Any]]:
    """Return the bare type, without None, and everything that is noted of it."""
    notes = list(metadata)
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            notes += more
        elif get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation):
            rest = tuple(one for one in get_args(annotation) if one is not NoneType)
            annotation = Union[rest]  # noqa: UP007 - made at run time
        else:
            return annotation, [one for note in notes for one in getattr(note, "metadata", [note])]


def describe_bounds(field: FieldInfo) -> str:
    """Return the bounds of a number or a duration in words; empty when it has none."""
    _, notes = unwrap(field.annotation, field.metadata)
    words = []
    for note in notes:
        match note:
            case Gt(gt=bound):
                words.append(f"more than {written(bound)}")
            case Ge(ge=bound):
                words.append(f"at least {written(bound)}")
            case Lt(lt=bound):
                words.append(f"less than {written(bound)}")
            case Le(le=bound):
                words.append(f"at most {written(bound)}")
    return " and ".join(words)


def written(value: Any) -> str:
    """Return a number or a duration as one would write it in the file."""
    return format_duration(value) if isinstance(value, timedelta) else str(value)


class Reader:
    """Reads a tree by the models' shape and keeps the mistakes. Values left out of its answer have a mistake."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self.left_out: set[Location] = set()

    def read_section(self, node: Node, model: type[BaseModel], location: Location) -> dict[str, Any] | Nothing:
        """Return the values of a section by key."""
        if isinstance(node, Unreadable):
            return self._leave_out(location)
        if not isinstance(node, Mapping):
            return self._note(location, node.place, f"{_seen(node)}; write a section with keys, or remove the line")
        values: dict[str, Any] = {}
        for key, (key_place, entry) in node.entries.items():
            field = model.model_fields.get(key)
            if field is None:
                self._note((*location, key), key_place, _unknown(key, model))
                continue
            value = self._read(entry, Wanted.by(field), (*location, key))
            if value is not NOTHING:
                values[key] = value
        return values

    def _note(self, location: Location, place: Place, message: str) -> Nothing:
        self.mistakes.append(Mistake(location, place, message))
        return self._leave_out(location)

    def _leave_out(self, location: Location) -> Nothing:
        self.left_out.add(location)
        return NOTHING

    def _read(self, node: Node, wanted: Wanted, location: Location) -> Any:
        if isinstance(node, Unreadable):
            return self._leave_out(location)
        if wanted.item is not None:
            return self._read_list(node, wanted, location)
        if wanted.named is not None:
            return self._read_named(node, wanted, location)
        if wanted.kinds:
            return self._read_kind(node, wanted, location)
        if _is_model(wanted.type):
            return self.read_section(node, wanted.type, location)
        return self._read_scalar(node, wanted, location)

    def _read_list(self, node: Node, wanted: Wanted, location: Location) -> Any:
        if isinstance(node, Scalar) and not node.is_from_file:
            return self._note(location, node.place, "is a list, which is written in the file only; unset the variable")
        if not isinstance(node, Sequence):
            return self._note(location, node.place, f"{_seen(node)}; write a list, each entry after '- '")
        item = Wanted.of(wanted.item)
        values = [self._read(entry, item, (*location, index)) for index, entry in enumerate(node.items)]
        return NOTHING if NOTHING in values else values

    def _read_named(self, node: Node, wanted: Wanted, location: Location) -> Any:
        if not isinstance(node, Mapping):
            return self._note(location, node.place, f"{_seen(node)}; write names, and under each its keys")
        values: dict[str, Any] = {}
        for name, (place, entry) in node.entries.items():
            if not _NAME.fullmatch(name):
                self._note((*location, name), place, "is no name; write letters, digits, '.', '_' and '-', at most 100")
                continue
            value = self._read(entry, Wanted.of(wanted.named), (*location, name))
            if value is not NOTHING:
                values[name] = value
        return values

    def _read_kind(self, node: Node, wanted: Wanted, location: Location) -> Any:
        """Return the values of a section whose `kind:` names the model to read it by."""
        choices = f"write one of: {', '.join(wanted.kinds)}"
        if not isinstance(node, Mapping):
            return self._note(location, node.place, f"{_seen(node)}; write a section that begins with 'kind:'")
        if "kind" not in node.entries:
            return self._note((*location, "kind"), node.place, f"is missing; {choices}")
        _, kind = node.entries["kind"]
        if isinstance(kind, Unreadable):
            return self._leave_out(location)
        if not isinstance(kind, Scalar) or kind.text not in wanted.kinds:
            return self._note((*location, "kind"), kind.place, f"{_seen(kind)}, not a kind that exists; {choices}")
        return self.read_section(node, wanted.kinds[kind.text], location)

    def _read_scalar(self, node: Node, wanted: Wanted, location: Location) -> Any:
        readers: dict[Any, Callable[[Scalar], Any]] = {
            timedelta: _duration,
            bool: _boolean,
            int: _integer,
            float: _ratio if wanted.is_ratio else _number,
            str: _text,
            Path: _path,
            SecretStr: _secret,
        }
        read = readers.get(wanted.beside or wanted.type)
        assert read or wanted.words, f"no way to read {wanted.type}; add one here"
        try:
            scalar = _scalar(node)
            is_word = wanted.beside is not None and scalar.text in wanted.words
            return read(scalar) if read and not is_word else _word(scalar, wanted)
        except ValueError as error:
            return self._note(location, node.place, str(error))


def _is_model(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, BaseModel)


def _unknown(key: str, model: type[BaseModel]) -> str:
    meant = nearest(key, model.model_fields)
    return f"is not a key that exists; {f'did you mean {meant}?' if meant else _keys_of(model)}"


def _keys_of(model: type[BaseModel]) -> str:
    return f"the keys here are: {', '.join(model.model_fields)}"


def _seen(node: Node) -> str:
    """Return what stands there, in words. What a variable holds is never repeated."""
    if isinstance(node, Mapping):
        return "is a section"
    if isinstance(node, Sequence):
        return "is a list"
    if isinstance(node, Unreadable):
        return "cannot be read"
    if not node.is_from_file:
        return "the variable's value is not understood"
    if node.value is None:
        return "has no value"
    if isinstance(node.value, str):
        return f"is {shown(node.text)}"
    return f"is {node.text}"


def _scalar(node: Node) -> Scalar:
    if not isinstance(node, Scalar):
        raise ValueError(f"{_seen(node)}; write one value")  # noqa: TRY004 - a mistake of the writer, not of the program
    if node.text == "" and not node.is_from_file:
        raise ValueError("the variable is empty; give it a value or unset it")
    if node.value is None:
        raise ValueError("has no value; write one, or remove the line")
    return node


def _meaning(scalar: Scalar) -> bool | int | float | str | None:
    """Return the value; a variable has no quotes, so its text means what it would mean in the file without them."""
    return scalar.value if scalar.is_from_file else plain_value(scalar.text)


def _duration(scalar: Scalar) -> timedelta:
    value = _meaning(scalar)
    if isinstance(value, str) and (duration := parse_duration(value)) is not None:
        return duration
    if isinstance(value, int) and not isinstance(value, bool) and scalar.is_from_file:
        raise ValueError(f"{value} has no unit; write {value}s for seconds, or {value}m for minutes")
    raise ValueError(f"{_seen(scalar)}, not a duration; write one with units, such as {EXAMPLES}")


def _boolean(scalar: Scalar) -> bool:
    value = _meaning(scalar)
    if isinstance(value, bool):
        return value
    raise ValueError(f"{_seen(scalar)}; write true or false")


def _integer(scalar: Scalar) -> int:
    value = _meaning(scalar)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"{_seen(scalar)}; write a whole number{_without_quotes(scalar)}")


def _number(scalar: Scalar) -> float:
    value = _meaning(scalar)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{_seen(scalar)}; write a number{_without_quotes(scalar)}")


def _ratio(scalar: Scalar) -> float:
    value = _meaning(scalar)
    percent = plain_value(scalar.text.removesuffix("%").rstrip()) if scalar.text.endswith("%") else value
    if isinstance(percent, bool) or not isinstance(percent, (int, float)):
        hint = f"write a ratio between 0 and 1, such as 0.05{_without_quotes(scalar)}"
        raise ValueError(f"{_seen(scalar)}; {hint}")  # noqa: TRY004 - a mistake of the writer, not of the program
    if not isinstance(value, str) and value is not None and value <= 1:
        return float(value)
    if 0 < percent <= 100 and scalar.is_from_file:
        raise ValueError(f"{scalar.text} looks like percent; write the ratio {percent / 100:.6g}")
    raise ValueError(f"{_seen(scalar)}, not a ratio; write a number between 0 and 1, such as 0.05")


def _text(scalar: Scalar) -> str:
    if not scalar.is_from_file or isinstance(scalar.value, str):
        return scalar.text
    raise ValueError(f'{scalar.text} is not text as it stands; write "{scalar.text}" in quotes')


def _path(scalar: Scalar) -> Path:
    text = _text(scalar)
    # The value is not repeated: people paste a token where the name of its file should be.
    if not text.startswith("/") or not text.isprintable():
        raise ValueError("is not an absolute path; write one that begins with /")
    return Path(text)


def _secret(scalar: Scalar) -> SecretStr:
    if scalar.is_from_file:
        raise ValueError("a token does not belong in this file, revoke it; name its file, or set the variable instead")
    return SecretStr(scalar.text)


def _word(scalar: Scalar, wanted: Wanted) -> Any:
    if scalar.text in wanted.words:
        return wanted.type(scalar.text) if isinstance(wanted.type, type) else scalar.text
    meant = nearest(scalar.text, wanted.words)
    hint = f"did you mean {meant}? " if meant else ""
    raise ValueError(f"{_seen(scalar)}; {hint}write one of: {', '.join(wanted.words)}")


def _without_quotes(scalar: Scalar) -> str:
    is_number = scalar.is_from_file and scalar.is_quoted and isinstance(plain_value(scalar.text), (int, float))
    return " without quotes" if is_number else ""
