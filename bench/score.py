"""Judges the labelled traces of tests/data/detection and prints the tables of their score.

Run: python -m bench.score [--json]. Simulated traffic, injected errors: the figures are of these traces alone. Tables
at the default sensitivity with polls of 10 s, at `fast` with polls of 60 s, of all traces, and of the long stories.
"""

import argparse
import gzip
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from daemon.detectors.evidence.knobs import Design, Sensitivity
from daemon.detectors.evidence.offline import judge_trace, parse_trace

DATA = Path(__file__).parents[1] / "tests" / "data" / "detection"
TABLES = (
    ("public.jsonl.gz", Sensitivity.BALANCED, 10),
    ("public.jsonl.gz", Sensitivity.FAST, 60),
    ("public.jsonl.gz", Sensitivity.BALANCED, None),
    ("stories.jsonl.gz", Sensitivity.BALANCED, None),
)


def scorer() -> ModuleType:
    """Return the scorer that came with the traces, unchanged."""
    spec = importlib.util.spec_from_file_location("score", DATA / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scored(name: str, sensitivity: Sensitivity, poll: int | None) -> dict[str, Any]:
    """Return the score on the traces of file *name* with polls of *poll* seconds; None: all of them."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        lines = [line for line in file if poll is None or json.loads(line)["poll_s"] == poll]
    design = Design(level=sensitivity.level)
    decisions = [json.loads(judge_trace(parse_trace(line), design).as_line()) for line in lines]
    traces = {trace["id"]: trace for trace in map(json.loads, lines)}
    result: dict[str, Any] = scorer().score(traces, {one["id"]: one for one in decisions}, float("inf"))
    return result


def show(result: dict[str, Any]) -> None:
    """Print one table."""
    print(f"  healthy {result['healthy']:4d}   false rollbacks {result['false']} {result['false_kinds'] or ''}")
    print(
        f"  bad     {result['bad']:4d}   missed {result['missed']} {result['missed_kinds'] or ''}   "
        f"before onset {result['before_onset']}   wrong target {result['wrong_target']}"
    )
    print(f"  outage  {result['outage']:4d}   wrong rollbacks {result['wrong']} {result['wrong_kinds'] or ''}")
    for poll, row in result["delay_seconds"].items():
        print(f"  polls every {poll} s: {row['n']} decided, delay median {row['median']:.0f} s, p95 {row['p95']:.0f} s")


def main() -> None:
    """Print every table, or one JSON object a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for name, sensitivity, poll in TABLES:
        result = scored(name, sensitivity, poll)
        if options.json:
            print(json.dumps({"traces": name, "sensitivity": sensitivity, "poll_seconds": poll, **result}))
            continue
        print(f"{name}, {f'{poll} s polls' if poll else 'all polls'}, {sensitivity} (alpha {sensitivity.level:g})")
        show(result)


if __name__ == "__main__":
    main()
