"""The files of this tree, each read and parsed once, for the rules that look at source text."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
_NOT_OURS = {".git", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".import_linter_cache", ".hypothesis"}


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Return every file that is, or would be, in the repository: relative, sorted, deleted ones left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if (TREE / ".git").exists():
        listed = subprocess.run(command, cwd=TREE, check=True, capture_output=True, text=True).stdout.split("\0")
        files = {Path(name) for name in listed if name}
    else:
        # A copy of the tree, such as a release archive, holds nothing but its files and the caches of tools.
        files = {file.relative_to(TREE) for file in TREE.rglob("*")}
        files = {file for file in files if not _NOT_OURS & set(file.parts) and "__pycache__" not in file.parts}
    return tuple(sorted(file for file in files if (TREE / file).is_file()))


def python_files(*folders: str) -> Iterator[Path]:
    """Yield the Python files under the given folders of the tree, relative to it."""
    for file in project_files():
        if file.suffix == ".py" and any(file.is_relative_to(folder) for folder in folders):
            yield file


@functools.cache
def source(file: Path) -> str:
    """Return the text of a file of the tree."""
    return (TREE / file).read_text(encoding="utf-8")


@functools.cache
def syntax_tree(file: Path) -> ast.Module:
    """Return the parsed source of a Python file of the tree."""
    return ast.parse(source(file), filename=str(file))
