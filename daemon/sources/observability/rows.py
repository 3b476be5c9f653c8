"""Rows of an answer as models, each project's trouble kept apart from the others'."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from daemon.core.facts import ProjectId
from daemon.ports.errors import Unintelligible
from daemon.sources.observability.question import STATUS_MIN
from daemon.vercel.wire import WireModel, understand

NO_STATUS = 0
STATUS_DIGITS = 3


def read_status(value: object) -> int:
    """Return an HTTP status, a text in these answers; NO_STATUS for none. Raises ValueError for anything else."""
    text = "" if value is None else str(value)
    if text in ("", "0"):
        return NO_STATUS
    if not (text.isascii() and text.isdigit() and len(text) == STATUS_DIGITS) or int(text) < STATUS_MIN:
        raise ValueError("not an HTTP status")
    return int(text)


Status = Annotated[int, BeforeValidator(read_status)]
Count = Annotated[int, Field(strict=True, ge=0)]
Row = TypeVar("Row", bound=WireModel)


class Rows(Generic[Row]):
    """Reads lists of one kind of row. *keys* is the way to the project's id in a row that cannot be read whole."""

    def __init__(self, model: type[Row], *keys: str) -> None:
        self._model = model
        self._keys = keys
        self._list = TypeAdapter(list[model])  # type: ignore[valid-type]

    def read(self, rows: Sequence[Any], *, what: str, troubles: dict[ProjectId, Unintelligible]) -> Sequence[Row]:
        """Return *rows* as models; one that cannot be read is left out and added to the *troubles* of its project.

        Raises Unintelligible where such a row does not name its project: nobody knows whose counts are wrong then.
        """
        try:
            return self._list.validate_python(rows)
        except ValidationError:
            return [row for raw in rows for row in self._read_one(raw, what=what, troubles=troubles)]

    def _read_one(self, raw: object, *, what: str, troubles: dict[ProjectId, Unintelligible]) -> Sequence[Row]:
        try:
            return [understand(self._model, raw, what=what)]
        except Unintelligible as error:
            project = self._project_of(raw)
            if not project:
                raise
            troubles.setdefault(ProjectId(project), error)
            return []

    def _project_of(self, raw: object) -> str:
        found = raw
        for key in self._keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, str) else ""
