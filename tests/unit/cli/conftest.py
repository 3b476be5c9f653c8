"""What the tests of the command line share."""

from pathlib import Path

import pytest

from tests.unit.cli.operating import Operated, configured


@pytest.fixture
def operated(tmp_path: Path) -> Operated:
    """A folder with a token and a configuration, and no store yet."""
    return configured(tmp_path)
