"""Copies of the tree in which a test may plant a defect or start from nothing."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.house.tree import TREE, project_files


def copy_tree(to: Path) -> Path:
    """Copy what a fresh clone would hold, times included, into the new folder *to*, and return it."""
    for file in project_files():
        target = to / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TREE / file, target)
    return to


def make(
    *arguments: str, cwd: Path, timeout_seconds: float = 300, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run make in *cwd*, free of what an outer make handed down; raise TimeoutExpired when it takes too long."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments],
        check=False,
        cwd=cwd,
        env=environment | (variables or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
    )
