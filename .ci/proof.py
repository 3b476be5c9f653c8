"""Runs the long tests, file by file, and prints a table of minutes; fails on a failure and over budget.

A part is a test file that holds tests marked `proof`: a new one joins by existing.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

BUDGET_MINUTES = 45.0
_TREE = Path(__file__).resolve().parent.parent
_PYTEST = [sys.executable, "-m", "pytest", "-m", "proof"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one part ended, and how long it took."""

    part: str
    minutes: float
    result: str

    @property
    def passed(self) -> bool:
        """Tell whether every test of the part ran and passed."""
        return self.result == "passed"


def find_parts(paths: list[str], *, tree: Path) -> list[str]:
    """Return the test files under *paths* of *tree* that hold proof tests, as collected; SystemExit if that fails."""
    command = [*_PYTEST, "--collect-only", "-q", *paths]
    collected = subprocess.run(command, check=False, cwd=tree, capture_output=True, text=True)
    if collected.returncode != 0:
        sys.stdout.write(collected.stdout + collected.stderr)
        raise SystemExit(f"proof: collecting the parts failed (pytest exit {collected.returncode})")
    return list(dict.fromkeys(re.findall(r"^(\S+\.py)::", collected.stdout, flags=re.MULTILINE)))


def run_part(part: str, *, tree: Path, seconds_left: float) -> Outcome:
    """Run one part and end it, its children included, when the budget runs out."""
    started = time.monotonic()
    command = [*_PYTEST, "-q", "--durations=3", part]
    with tempfile.TemporaryDirectory(prefix="lastgood-proof-") as scratch:
        process = subprocess.Popen([*command, f"--basetemp={scratch}/tests"], cwd=tree, start_new_session=True)
        try:
            code = process.wait(timeout=max(seconds_left, 1.0))
            result = "passed" if code == 0 else f"FAILED (pytest exit {code})"
        except subprocess.TimeoutExpired:
            result = "FAILED (over budget)"
        finally:
            _end_group(process)
    return Outcome(part=part, minutes=(time.monotonic() - started) / 60, result=result)


def table(outcomes: list[Outcome], *, budget_minutes: float) -> str:
    """Return the table of parts, minutes and results, and the line that sums it up."""
    width = max(len(outcome.part) for outcome in outcomes)
    rows = [f"{'part':<{width}} | minutes | result", f"{'-' * width}-|---------|-------"]
    rows += [f"{outcome.part:<{width}} | {outcome.minutes:7.2f} | {outcome.result}" for outcome in outcomes]
    total = sum(outcome.minutes for outcome in outcomes)
    rows.append(f"{'all parts':<{width}} | {total:7.2f} | budget {budget_minutes:g}")
    passed = sum(outcome.passed for outcome in outcomes)
    return "\n".join([*rows, "", f"proof: {passed} passed, {len(outcomes) - passed} failed"])


def main(arguments: list[str]) -> int:
    """Run the parts; return 0 only if all passed within the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", default=["tests"], help="test files or folders; all tests without them")
    parser.add_argument("--budget-minutes", type=float, default=BUDGET_MINUTES)
    parser.add_argument("--tree", type=Path, default=_TREE, help="the folder that the paths are relative to")
    options = parser.parse_args(arguments)
    parts = find_parts(options.paths, tree=options.tree)
    ends_at = time.monotonic() + options.budget_minutes * 60
    outcomes = []
    for number, part in enumerate(parts, start=1):
        print(f"\n== proof {number} of {len(parts)}: {part} ==", flush=True)
        outcomes.append(run_part(part, tree=options.tree, seconds_left=ends_at - time.monotonic()))
    print("\n" + table(outcomes, budget_minutes=options.budget_minutes), flush=True)
    is_over = time.monotonic() > ends_at
    return 0 if all(outcome.passed for outcome in outcomes) and not is_over else 1


def _end_group(process: subprocess.Popen[bytes]) -> None:
    # A test that was cut off may leave a daemon behind; the part is its own process group so that nothing survives it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
