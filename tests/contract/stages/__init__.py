"""How each kind of source is put on an emulated Vercel, one file a kind, for the body of tests in test_sources.py."""

from typing import Any, Protocol

from daemon.ports.source import Source
from tests.unit.vercel.emulated import Vercel


class Stage(Protocol):
    """One kind of source on an emulated Vercel. Every test makes its own, and builds its source before time passes.

    A stage that needs a program of the machine, or takes long, names the marks of its tests in a tuple `marks`.
    """

    kind: str
    """The `kind:` of the configuration, and the `source` of every reading."""
    counts_are_exact: bool
    """Whether the counts are the world's own; otherwise they are near them."""

    def build(self, vercel: Vercel, **changes: Any) -> Source:
        """Return the source, with *changes* to its settings."""
        ...

    async def settle(self, vercel: Vercel) -> None:
        """Let everything arrive that was served until `vercel.now`."""
        ...
