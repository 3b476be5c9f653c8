"""structlog through the standard library's handlers: one line an event, no secrets, no local variables."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import structlog

_SECRET_KEYS = ("token", "secret", "authorization", "password", "cookie")
_FIELD_LENGTH_MAX = 2_000
_TRACEBACK_LENGTH_MAX = 8_000


def set_up_logging(
    *, level: str, json: bool, stream: TextIO | None = None, secrets: Callable[[], list[str]] = list
) -> None:
    """Send every log line to *stream* (standard error when None), as JSON or for a person.

    *secrets* returns values that must never appear; wherever one would, `[secret]` stands instead.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        # Before the redactor, so that it sees what exceptions say.
        structlog.processors.format_exc_info,
        _redactor(secrets),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # httpx logs whole URLs at INFO, APScheduler every ring, uvicorn every scrape.
    # hpack's own debug lines hold every header, the token's among them.
    for noisy in ("httpx", "httpcore", "hpack", "h2", "apscheduler", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # A poll that outlasts its interval is told by lastgood_cycle_duration_seconds, not by a line each time.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    structlog.configure(
        # First of all, so that a line that nobody wants costs nothing.
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def set_level(level: str) -> None:
    """Write no lines that are less important than *level* from now on."""
    logging.getLogger().setLevel(level.upper())


def _redactor(secrets: Callable[[], list[str]]) -> structlog.typing.Processor:
    def redact(_logger: Any, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        hidden = [secret for secret in secrets() if secret]
        return {key: _clean(key, value, hidden) for key, value in line.items()}

    return redact


def _clean(key: str, value: Any, hidden: list[str]) -> Any:
    if any(word in key.lower() for word in _SECRET_KEYS):
        return "[secret]"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _clean(str(name), one, hidden) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", one, hidden) for one in value]
    text = value if isinstance(value, str) else repr(value)
    for secret in hidden:
        text = text.replace(secret, "[secret]")
    if key == "exception":
        # What went wrong stands at a traceback's end.
        return text if len(text) <= _TRACEBACK_LENGTH_MAX else "…" + text[-_TRACEBACK_LENGTH_MAX:]
    return text if len(text) <= _FIELD_LENGTH_MAX else text[:_FIELD_LENGTH_MAX] + "…"
