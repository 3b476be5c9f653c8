"""How the visitors of a production domain are shared between what serves it and a canary."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """The canary's share of the visitors from ``at_ms`` on, 0..1; it moves evenly to ``to_share`` until ``until_ms``.

    ``canary_id`` None: there is no canary any more.
    """

    at_ms: int
    canary_id: str | None
    share: float = 0.0
    to_share: float = 0.0
    until_ms: int | None = None

    def share_at(self, at_ms: int) -> float:
        """Return the canary's share of the visitors at *at_ms*."""
        if self.canary_id is None:
            return 0.0
        if self.until_ms is None or self.until_ms <= self.at_ms:
            return self.share
        passed = min(1.0, max(0.0, (at_ms - self.at_ms) / (self.until_ms - self.at_ms)))
        return self.share + (self.to_share - self.share) * passed
