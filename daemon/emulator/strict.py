"""What people and clients write, strictly read: an unknown key is an error, and an error says where and what fits."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from daemon.emulator.errors import bad_request

Place = tuple[int | str, ...]
"""The keys and indices that lead to a part of a document; empty for the whole of it."""
BodyT = TypeVar("BodyT", bound="RequestBody")

_NOT_SAID = {"missing", "extra_forbidden", "value_error"}
_KINDS: Mapping[type, str] = {dict: "a mapping", list: "a list", tuple: "a list"}
_PLAINLY = {
    "missing": "this key is needed",
    "model_type": "a mapping is needed here",
    "model_attributes_type": "a mapping is needed here",
    "dict_type": "a mapping is needed here",
    "tuple_type": "a list is needed here",
}


class Misplaced(ValueError):
    """Something wrong that is noticed further up than it stands; ``place`` leads there from where it is raised."""

    def __init__(self, message: str, *place: int | str) -> None:
        """Say what is wrong, what would be right, and at which *place*."""
        super().__init__(message)
        self.place = place


class Strict(BaseModel):
    """What a scenario, a fleet or a control request may say; infinity and what is no number are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _knows_every_key(cls, given: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in given if isinstance(given, Mapping) else ():
            if key not in known:
                raise Misplaced(f"there is no key {key!r} here, only {', '.join(known)}", str(key))
        return given


class RequestBody(BaseModel):
    """What the body of an API request may say, in camel case."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


def body_of(kind: type[BodyT], given: Mapping[str, Any]) -> BodyT:
    """Return what *given* asks for; a 400 names the first thing that is wrong with it."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"]) or "body"
        raise bad_request(f"Invalid request: `{where}`: {detail['msg'].removeprefix('Value error, ')}") from error


def problems(error: ValidationError) -> Iterator[tuple[Place, str]]:
    """Yield the place of everything that is wrong, and in words what is wrong there and what would be right."""
    details = error.errors()
    for detail in details:
        if detail["type"] == "too_short" and any(_is_within(other["loc"], detail["loc"]) for other in details):
            continue  # Too short only because what is in it is wrong.
        raised = detail.get("ctx", {}).get("error")
        deeper = raised.place if isinstance(raised, Misplaced) else ()
        yield (*detail["loc"], *deeper), _words(detail)


def sentences(error: ValidationError, *, whole: str) -> str:
    """Return everything that is wrong in one line; *whole* is what the document itself is called."""
    return "; ".join(f"{dotted(place) or whole}: {message}" for place, message in problems(error))


def dotted(place: Place) -> str:
    """Return *place* in one word."""
    return ".".join(str(part) for part in place)


def _is_within(place: Place, whole: Place) -> bool:
    return len(place) > len(whole) and place[: len(whole)] == whole


def _words(detail: ErrorDetails) -> str:
    message = _PLAINLY.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    if detail["type"] in _NOT_SAID:
        return message
    found = detail["input"]
    return f"{message}, not {_KINDS.get(type(found)) or repr(found)}"
