"""Log lines that go nowhere: the default of structlog draws each traceback with every local variable, which is slow."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def silent_log() -> Iterator[None]:
    """Format every line and drop it."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    yield
    structlog.reset_defaults()
