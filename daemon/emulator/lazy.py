"""Projects and deployments that are made only when somebody looks, so that a fleet of thousands starts at once."""

from collections.abc import Callable, Iterator
from typing import Any

from daemon.emulator.model import Deployment, Project
from daemon.emulator.project_specs import ProjectSpec

_UNKNOWN = ProjectSpec(name="unknown")
"""Stands where the maker puts the real one before anybody can read it."""


def _made_on_demand(name: str) -> property:
    """Return the field *name* of a project, which settles the project when it is read or written."""
    slot = Project.__dict__[name]

    def read(self: "LazyProject") -> Any:
        self.settle()
        return slot.__get__(self)

    def write(self: "LazyProject", value: Any) -> None:
        slot.__set__(self, value)

    return property(read, write)


class LazyProject(Project):
    """A project whose past is made by *maker* the first time that anybody asks for a part of it.

    Invariant: once settled it is a project like any other.
    """

    __slots__ = ("_maker",)

    spec = _made_on_demand("spec")
    production_id = _made_on_demand("production_id")
    assignments = _made_on_demand("assignments")
    outages = _made_on_demand("outages")
    pinned = _made_on_demand("pinned")

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the field's name
        name: str,
        team_id: str,
        domains: tuple[str, ...],
        created_at_ms: int,
        maker: Callable[["LazyProject"], None],
    ) -> None:
        """Begin without a past; *maker* gives it one and sets its ``spec``."""
        self._maker: Callable[[LazyProject], None] | None = None
        super().__init__(
            id=id,
            name=name,
            team_id=team_id,
            spec=_UNKNOWN,
            domains=domains,
            created_at_ms=created_at_ms,
            updated_at_ms=created_at_ms,
            auto_assign=True,
        )
        self._maker = maker

    @property
    def is_settled(self) -> bool:
        """Tell whether its past has been made."""
        return self._maker is None

    def settle(self) -> None:
        """Make the past, if it has not been made yet."""
        maker, self._maker = self._maker, None
        if maker is not None:
            maker(self)


class LazyDeployments(dict[str, Deployment]):
    """Deployments by id. *owner_of* names the project that an id belongs to, whose past is made before the look-up."""

    def __init__(self) -> None:
        """Begin with none, and without owners."""
        super().__init__()
        self.owner_of: Callable[[str], Project | None] = lambda _id: None
        self.settle_all: Callable[[], None] = lambda: None

    def get(self, key: str, default: Any = None) -> Any:
        """Return the deployment *key*, or *default*."""
        return self[key] if key in self else default  # noqa: SIM401 - `get` is what is being defined

    def __contains__(self, key: object) -> bool:
        if super().__contains__(key):
            return True
        owner = self.owner_of(key) if isinstance(key, str) else None
        if owner is None:
            return False
        owner.settle()
        return super().__contains__(key)

    def __missing__(self, key: str) -> Deployment:
        if key in self:
            return self[key]
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        self.settle_all()
        return super().__iter__()

    def values(self) -> Any:
        """Return every deployment of every project, all of which are made now."""
        self.settle_all()
        return super().values()
