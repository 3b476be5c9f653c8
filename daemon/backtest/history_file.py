"""Reads a history file, plain or gzip by its name, one project at a time; every mistake is told with its line."""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, assert_never, cast

from pydantic import ValidationError

from daemon.backtest.history import Header, HistoryError, ProjectHistory
from daemon.backtest.lines import (
    FORMAT,
    LINE,
    VERSION,
    ActivationLine,
    AnyLine,
    CountsLine,
    EndLine,
    HeaderLine,
    NoDataLine,
    ProjectLine,
    Section,
)

LINE_BYTES_MAX = 1_000_000
_Inner = ProjectLine | ActivationLine | CountsLine | NoDataLine


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """An open history: its header, and its projects, which can be asked for once."""

    header: Header
    projects: Iterator[ProjectHistory]


@contextmanager
def open_history(path: Path) -> Iterator[HistoryFile]:
    """Open the history in *path*; a name that ends in `.gz` is gzip. Raises HistoryError, also while it is read."""
    try:
        with cast("IO[bytes]", gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
            reader = _Reader(path, file)
            line = reader.header()
            header = Header(line.origin, line.ids, line.times)
            yield HistoryFile(header, reader.projects(line))
    except OSError as error:
        raise HistoryError(f"cannot read {path}: {error.strerror or error}") from error


class _Reader:
    """Reads lines and knows their numbers."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._number = 0

    def header(self) -> HeaderLine:
        text = self._next()
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise self._error(f"not a history: the first line must say format {FORMAT!r}; `lastgood record` writes one")
        if said.get("version") != VERSION:
            raise self._error(f"version {said.get('version')!r} is not known here, only {VERSION}; update lastgood")
        try:
            return HeaderLine.model_validate_json(text)
        except ValidationError as error:
            raise self._error(_first(error)) from error

    def projects(self, header: HeaderLine) -> Iterator[ProjectHistory]:
        section: Section | None = None
        seen: set[str] = set()
        while True:
            line = self._line()
            if isinstance(line, ProjectLine | EndLine):
                if section is not None:
                    yield section.close()
                if isinstance(line, EndLine):
                    return self._end(line, len(seen))
                if line.project in seen:
                    raise self._error(f"project {line.project} has a section already; write one for each")
                seen.add(line.project)
            try:
                section = _take(section, line, header)
            except ValueError as error:
                raise self._error(str(error)) from error

    def _end(self, line: EndLine, projects: int) -> None:
        """Refuse a history that does not end with its last line, or that holds more or less than that says."""
        if line.projects != projects:
            raise self._error(f"the history says that it holds {line.projects} projects, and it holds {projects}")
        self._number += 1
        if self._read():
            raise self._error("something follows the last line; keep each history in a file of its own")

    def _line(self) -> AnyLine:
        text = self._next()
        try:
            return LINE.validate_json(text)
        except ValidationError as error:
            raise self._error(_first(error)) from error

    def _next(self) -> bytes:
        self._number += 1
        text = self._read()
        if len(text) > LINE_BYTES_MAX:
            raise self._error(f"longer than {LINE_BYTES_MAX} bytes")
        if not text:
            raise self._error("the file ends here, without its last line: it was cut off; copy or record it again")
        return text

    def _read(self) -> bytes:
        try:
            return self._file.readline(LINE_BYTES_MAX + 1)
        except EOFError as error:
            raise self._error("the file is cut off; copy it again") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._error(f"not gzip, or damaged: {error}; copy it again") from error

    def _error(self, what: str) -> HistoryError:
        return HistoryError(f"{self._path}, line {self._number}: {what}")


def _take(section: Section | None, line: _Inner, header: HeaderLine) -> Section:
    """Return the section that *line* belongs to, with it. Raises ValueError where it cannot be true."""
    if isinstance(line, ProjectLine):
        return Section(header.epoch, line)
    if section is None:
        raise ValueError("belongs to no project; write a project line before it")
    match line:
        case ActivationLine():
            section.add_activation(line)
        case CountsLine():
            section.add_counts(line)
        case NoDataLine():
            section.add_no_data(line)
        case _ as never:
            assert_never(never)
    return section


def _first(error: ValidationError) -> str:
    """Return the first mistake in one line."""
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    return f"{where}: {detail['msg']}" if where else detail["msg"]
