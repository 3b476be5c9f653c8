"""Errors of the emulator: the refusals of its API, and the broken connection of a fault."""

from typing import Any

CODES = {
    400: "bad_request",
    401: "unauthorized",
    402: "payment_required",
    403: "forbidden",
    404: "not_found",
    408: "query_timeout",
    409: "conflict",
    410: "gone",
    413: "result_too_large",
    422: "unprocessable_entity",
    429: "rate_limited",
}
"""What ``error.code`` says of a status, if nothing better is known. Those of 401, 410 and 422 are assumed."""


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


def refusal(status: int, message: str, *, code: str | None = None, **extra: Any) -> ApiError:
    """Return the refusal *status*; *code* None is the usual one of that status."""
    return ApiError(status, code or CODES.get(status, "internal_server_error"), message, **extra)


def bad_request(message: str, **extra: Any) -> ApiError:
    """Return a 400."""
    return refusal(400, message, **extra)


def forbidden(message: str = "You don't have permission to access this resource.", **extra: Any) -> ApiError:
    """Return a 403."""
    return refusal(403, message, **extra)


def not_found(message: str, **extra: Any) -> ApiError:
    """Return a 404."""
    return refusal(404, message, **extra)


def conflict(message: str, **extra: Any) -> ApiError:
    """Return a 409."""
    return refusal(409, message, **extra)


def unprocessable(message: str, **extra: Any) -> ApiError:
    """Return a 422. Its real code and text are unknown; clients must not rely on them."""
    return refusal(422, message, **extra)


def payment_required(message: str, **extra: Any) -> ApiError:
    """Return a 402."""
    return refusal(402, message, **extra)
