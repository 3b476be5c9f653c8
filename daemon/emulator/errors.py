"""Errors of the emulator: the refusals of its API, and the broken connection of a fault."""

from typing import Any


class ApiError(Exception):
    """A refusal in Vercel's envelope ``{"error": {"code", "message", ...}}``. Source: Vercel CLI 64.0.2."""

    def __init__(self, status: int, code: str, message: str, **extra: Any) -> None:
        """Keep the HTTP *status*, Vercel's *code*, its *message* and keys that stand beside them in the envelope."""
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra

    def envelope(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"error": {"code": self.code, "message": self.message, **self.extra}}


class ConnectionReset(ConnectionResetError):
    """The emulated server closed the connection without an answer (raised where there is no socket to close)."""


def bad_request(message: str, **extra: Any) -> ApiError:
    """Return a 400."""
    return ApiError(400, "bad_request", message, **extra)


def forbidden(message: str = "You don't have permission to access this resource.", **extra: Any) -> ApiError:
    """Return a 403."""
    return ApiError(403, "forbidden", message, **extra)


def not_found(message: str, **extra: Any) -> ApiError:
    """Return a 404."""
    return ApiError(404, "not_found", message, **extra)


def conflict(message: str, **extra: Any) -> ApiError:
    """Return a 409."""
    return ApiError(409, "conflict", message, **extra)


def unprocessable(message: str, **extra: Any) -> ApiError:
    """Return a 422. Its real code and text are unknown; clients must not rely on them."""
    return ApiError(422, "unprocessable_entity", message, **extra)


def payment_required(message: str, **extra: Any) -> ApiError:
    """Return a 402."""
    return ApiError(402, "payment_required", message, **extra)
