"""Reads the configuration: settings that hold, or every mistake at once, each at its place."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import PydanticBaseSettingsSource

from daemon.settings import files
from daemon.settings.files import Node, Scalar, Sequence, decode_yaml, read_content
from daemon.settings.laws import LAWS, LINTS, Check, Violation, a_token_is_given
from daemon.settings.lints import GATE_LINTS
from daemon.settings.model import DIGEST_CHARACTERS, PolicySettings, Settings, VercelSettings, variables
from daemon.settings.problem import ConfigError, Location, Place, Problem, dotted, in_order, nearest, shown_key
from daemon.settings.shape import NOTHING, Reader, Wanted, describe_bounds, written
from daemon.settings.tokens import Token, TokenFile, TokenUnreadable

PREFIX = "LASTGOOD_"
STAND_IN_PROJECT = {"id": "prj_StandIn"}
"""Takes the place of projects that cannot be read, so that the laws between the other keys are still checked."""
SECRETS = frozenset(name for name, field in VercelSettings.model_fields.items() if Wanted.by(field).type is SecretStr)
ROUNDS_MAX = 8


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that hold, and what is unwise about them.

    `digest` is that of the file's content, as `sha256sum` would begin. `blame` gives what is wrong a place in the file.
    """

    settings: Settings
    warnings: tuple[Problem, ...]
    digest: str
    blame: Callable[[Violation], Problem]


def load_settings(path: Path, env: Mapping[str, str]) -> Settings:
    """Return the settings of the file at *path*, overridden by the `LASTGOOD_` variables of *env*.

    Raises ConfigError with every mistake. No message holds a token, wherever it was written.
    """
    return load(path, env).settings


def content_digest(content: bytes) -> str:
    """Return what names a file's *content*: the beginning of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]


def load(path: Path, env: Mapping[str, str], *, checks_tokens: bool = True, content: bytes | None = None) -> Loaded:
    """Return settings and warnings; without *checks_tokens* nothing is asked of tokens: for a machine without them.

    *content* is what the file holds, where it was read already. Raises ConfigError with every mistake.
    """
    content = read_content(path) if content is None else content
    root, problems = decode_yaml(content, str(path))
    if problems and not root.entries:
        raise ConfigError(in_order(problems))
    problems += _add_variables(root, env)
    attempt = _Attempt(root)
    settings = attempt.build()
    warnings: list[Problem] = []
    if settings is not None:
        attempt.hold(settings, (*LAWS, a_token_is_given) if checks_tokens else LAWS)
        if checks_tokens:
            attempt.try_tokens(settings)
        warnings = attempt.found(settings, (*LINTS, *GATE_LINTS))
    problems += attempt.problems
    if problems:
        raise ConfigError(in_order(problems))
    assert settings is not None, "settings that cannot be built have a problem"
    return Loaded(settings, tuple(in_order(warnings)), content_digest(content), attempt.problem)


def _add_variables(root: files.Mapping, env: Mapping[str, str]) -> list[Problem]:
    """Put the settings among the variables *env* into the tree, over the file's; return what is wrong with names."""
    known = variables()
    without_delimiter = {name.replace("__", "_"): name for name in known}
    problems = []
    for name in sorted(env):
        if not name.upper().startswith(PREFIX):
            continue
        place = Place(shown_key(name) if name not in known else name)
        if name in known:
            _overlay(root, known[name], Scalar(place, env[name], env[name], is_from_file=False))
        elif name.upper() in without_delimiter:
            problems.append(Problem(place, "", f"is not a setting; did you mean {without_delimiter[name.upper()]}?"))
        elif "__" in name:
            problems.append(Problem(place, "", _unknown_variable(name, known)))
    return problems


def _unknown_variable(name: str, known: Iterable[str]) -> str:
    meant = nearest(name, [one.lower() for one in known])
    hint = f"did you mean {meant.upper()}?" if meant else "docs/configuration.md lists those that are"
    return f"is not a setting; {hint}"


def _overlay(root: files.Mapping, way: tuple[str, ...], scalar: Scalar) -> None:
    section, key = way
    _, node = root.entries.setdefault(section, (scalar.place, files.Mapping(scalar.place)))
    # A section that is no section in the file is refused there; the variable cannot mend it.
    if not isinstance(node, files.Mapping):
        return
    # A token in the file is refused though the variable would win: it has leaked already.
    if not (key in node.entries and key in SECRETS):
        node.entries[key] = (scalar.place, scalar)


class _Written(PydanticBaseSettingsSource):
    """What file and variables say, as pydantic-settings wants it."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(Settings)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return one section's values."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return all values."""
        return self._values


class _Attempt:
    """One way from a tree to settings. What is refused is left out, so that what comes later is checked as well."""

    def __init__(self, root: files.Mapping) -> None:
        self.problems: list[Problem] = []
        self._root = root
        reader = Reader()
        values = reader.read_section(root, Settings, ())
        assert values is not NOTHING, "the root is a section"
        self._values: dict[str, Any] = values
        self._broken = set(reader.left_out)
        for mistake in reader.mistakes:
            self.problems.append(Problem(mistake.place, dotted(mistake.location), mistake.message))

    def build(self) -> Settings | None:
        """Return the settings, the defaults standing in for what is refused; None when not even that can be built."""
        for _ in range(ROUNDS_MAX):
            if ("projects",) in self._broken:
                self._values["projects"] = [STAND_IN_PROJECT]
            try:
                return Settings(_build_sources=((_Written(self._values),), {}))
            except ValidationError as error:
                # Only what is named here leaves the error: its text would repeat what was written.
                details = error.errors(include_input=False, include_url=False)
            # What `defaults` says is refused once there, and once more in every project that inherits it.
            refused = {
                self._owned(self._walked(one["loc"])): one for one in details if not _is_consequence(one, details)
            }
            for location, detail in refused.items():
                self._refuse(location, detail)
        return None

    def hold(self, settings: Settings, laws: Iterable[Check]) -> None:
        """Note each broken law between keys of which none is refused already."""
        self.problems += self.found(settings, laws)

    def found(self, settings: Settings, checks: Iterable[Check]) -> list[Problem]:
        """Return what *checks* find, each with its place."""
        return [
            self.problem(violation)
            for check in checks
            for violation in check(settings)
            if not any(self._is_broken(self._owned(one)) for one in violation.inputs)
        ]

    def try_tokens(self, settings: Settings) -> None:
        """Note each token that cannot be used now."""
        for use in ("read", "act"):
            for key in (f"{use}_token_file", f"{use}_token"):
                if getattr(settings.vercel, key) is not None and not self._is_broken(("vercel", key)):
                    token = settings.vercel.token_to_read if use == "read" else settings.vercel.token_to_act
                    self._try_token(token, ("vercel", key))
                    break

    def _try_token(self, token: Token, location: Location) -> None:
        try:
            token()
        except TokenUnreadable as error:
            place = self._place(location)
            if isinstance(token, TokenFile) and error.is_about_content:
                place = Place(str(token.path))
            self.problems.append(Problem(place, dotted(location), str(error)))

    def _refuse(self, location: Location, detail: ErrorDetails) -> None:
        if not self._is_broken(location):
            sentence = _sentence(detail, self._node(location), _at(self._values, location))
            self.problems.append(Problem(self._place(location), dotted(location), sentence))
        self._leave_out(location)

    def _leave_out(self, location: Location) -> None:
        """Remove the smallest part that holds *location* and has a key of its own, unless it is gone already."""
        if any(location[: len(one)] == one for one in self._broken):
            return
        while location:
            self._broken.add(location)
            *way, last = location
            parent = _at(self._values, tuple(way))
            if isinstance(last, str) and isinstance(parent, dict) and last in parent:
                del parent[last]
                return
            location = tuple(way)

    def _walked(self, location: Location) -> Location:
        """Return *location* without the names of kinds, which pydantic puts behind a list's index."""
        way: Location = ()
        for part in location:
            follows_index = bool(way) and isinstance(way[-1], int)
            if not (follows_index and part == _kind_written(self._node(self._owned(way)))):
                way = (*way, part)
        return way

    def _owned(self, location: Location) -> Location:
        """Return where the value at *location* was written: in the project, in its profile, or in `defaults`."""
        match location:
            case ("projects", int(index), str(key), *rest) if key in PolicySettings.model_fields:
                for base in self._bases(index):
                    section = self._node(base)
                    if isinstance(section, files.Mapping) and key in section.entries:
                        return (*base, key, *rest)
        return location

    def _bases(self, index: int) -> Iterator[Location]:
        """Yield where a key of one project may be written, the place that wins first."""
        yield ("projects", index)
        profile = self._node(("projects", index, "profile"))
        if isinstance(profile, Scalar):
            yield ("profiles", profile.text)
        yield ("defaults",)

    def _is_broken(self, location: Location) -> bool:
        return any(location[: len(one)] == one or one[: len(location)] == location for one in self._broken)

    def problem(self, violation: Violation) -> Problem:
        """Return *violation* at the place of the first of its keys that somebody wrote."""
        inputs = [self._owned(one) for one in violation.inputs]
        blamed = next((one for one in inputs if self._node(one) is not None), inputs[0])
        return Problem(self._place(blamed), dotted(blamed), violation.message)

    def _node(self, location: Location) -> Node | None:
        node: Node | None = self._root
        for part in location:
            if isinstance(node, files.Mapping) and isinstance(part, str) and part in node.entries:
                node = node.entries[part][1]
            elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
            else:
                return None
        return node

    def _place(self, location: Location) -> Place:
        """Return the place of the value at *location*, or, where nothing is written, of what it is missing from."""
        while location and (node := self._node(location)) is None:
            location = location[:-1]
        return node.place if location and node else self._root.place


def _is_consequence(detail: ErrorDetails, details: Iterable[ErrorDetails]) -> bool:
    """Return whether a list is called too short only because pydantic refused what is in it."""
    length = len(detail["loc"])
    is_within = (other["loc"][:length] == detail["loc"] and len(other["loc"]) > length for other in details)
    return detail["type"] == "too_short" and any(is_within)


def _kind_written(node: Node | None) -> str | None:
    """Return the `kind:` of a section; None when it has none."""
    entry = node.entries.get("kind") if isinstance(node, files.Mapping) else None
    return entry[1].text if entry and isinstance(entry[1], Scalar) else None


def _at(values: Any, location: Location) -> Any:
    """Return the value at *location*; None when there is none."""
    for part in location:
        has_part = part in values if isinstance(values, dict) else isinstance(values, list) and int(part) < len(values)
        if not has_part:
            return None
        values = values[part]
    return values


def _sentence(detail: ErrorDetails, node: Node | None, value: Any) -> str:
    """Return what is wrong and what to write instead. Text is never repeated: it may be a token."""
    context = detail.get("ctx", {})
    field = _field(detail["loc"])
    is_from_file = isinstance(node, Scalar) and node.is_from_file
    what = written(value) if is_from_file and isinstance(value, (int, float, timedelta)) else "the value"
    match detail["type"]:
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            return f"{what} is out of bounds; write {describe_bounds(field)}"
        case "too_short":
            return f"is empty; write at least {context['min_length']} entry"
        case "too_long":
            return f"has too many entries; write at most {context['max_length']}"
        case "missing":
            return f"is missing; write this: {field.description}"
        case "value_error":
            # The models' own sentences, which name numbers and never text.
            sentence = str(context["error"])
            return sentence if ";" in sentence else f"{sentence}; correct one of them"
        case _:
            return f"has the wrong form; write this: {field.description}"


def _field(location: Location) -> FieldInfo:
    """Return the setting at *location*, as pydantic names it: with the kind behind a list's index."""
    wanted, found = Wanted(Settings), Settings.model_fields["projects"]
    for part in location:
        if isinstance(part, int):
            wanted = Wanted.of(wanted.item)
        elif wanted.named is not None:
            wanted = Wanted.of(wanted.named)
        elif part in wanted.kinds:
            wanted = Wanted(wanted.kinds[part])
        else:
            found = wanted.type.model_fields[part]
            wanted = Wanted.by(found)
    return found
