"""YAML that people write by hand: strictly read, with the line of whatever turns out to be wrong."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from daemon.emulator.strict import Misplaced, Place, dotted


class ScenarioError(ValueError):
    """A file that cannot be used; the message says where, why, and what would be right."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, of which PyYAML would keep the last in silence."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.MarkedYAMLError(problem="a key must be a word or a number", problem_mark=key_node.start_mark)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"{key!r} is given twice", problem_mark=key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping: what it says and where it says so. ``origin`` is the file's name."""

    origin: str
    data: dict[Any, Any]
    _root: yaml.Node

    def filled_in(self, fill: Callable[[str], Any], *, leaving: str) -> dict[Any, Any]:
        """Return the data with *fill* of each text in its place, but for the key *leaving*.

        A text that *fill* refuses with a ValueError is a ScenarioError.
        """
        try:
            return {
                key: value if key == leaving else _filled_in(value, fill, (key,)) for key, value in self.data.items()
            }
        except Misplaced as error:
            raise self.error([(error.place, str(error))]) from error

    def error(self, problems: Iterable[tuple[Place, str]]) -> ScenarioError:
        """Return the error that names each of *problems* with its line and its place."""
        return ScenarioError("\n".join(self._sentence(place, message) for place, message in problems))

    def _sentence(self, place: Place, message: str) -> str:
        return f"{self.origin}:{self._line(place)}: {dotted(place)}{': ' if place else ''}{message}"

    def _line(self, place: Place) -> int:
        """Return the line of what stands at *place*, or of the nearest thing around it, from 1."""
        node, line = self._root, self._root.start_mark.line
        for part in place:
            found = _part(node, part)
            if found is not None:
                line, node = found
        return line + 1


def read_text(path: Path) -> str:
    """Return what the file at *path* says; raises ScenarioError when it cannot be read or is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: byte {error.start + 1} is no UTF-8; save the file as UTF-8 text") from error


def parse(text: str, origin: str, *, empty: str) -> Document:
    """Return the mapping that the YAML *text* holds; *empty* tells whoever wrote none what to write.

    Raises ScenarioError; *origin* begins its message.
    """
    try:
        loader = _UniqueKeyLoader(text)
        root = loader.get_single_node()
        data = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        raise ScenarioError(f"{origin}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ScenarioError(f"{origin}: not valid YAML: {str(error).splitlines()[0]}") from error
    if root is None or not isinstance(data, dict):
        raise ScenarioError(f"{origin}: {empty}")
    return Document(origin, data, root)


def _part(node: yaml.Node, part: int | str) -> tuple[int, yaml.Node] | None:
    """Return the line and the node of a part; None of a key that is missing, or the kind of fault it speaks of."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return node.value[part].start_mark.line, node.value[part]
    if not isinstance(node, yaml.MappingNode):
        return None
    keys = {key.value: (key.start_mark.line, value) for key, value in node.value}
    is_kind = "kind" in keys and keys["kind"][1].value == part
    return None if is_kind else keys.get(str(part))


def _filled_in(value: Any, fill: Callable[[str], Any], place: Place) -> Any:
    if isinstance(value, dict):
        return {key: _filled_in(item, fill, (*place, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled_in(item, fill, (*place, index)) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    try:
        return fill(value)
    except ValueError as error:
        raise Misplaced(str(error), *place) from error
