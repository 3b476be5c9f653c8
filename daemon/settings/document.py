"""Writes docs/configuration.md from the models: `python -m daemon.settings.document > docs/configuration.md`."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from daemon.settings.laws import LAWS, LINTS, Check, a_token_is_given
from daemon.settings.lints import GATE_LINTS
from daemon.settings.model import PolicySettings, ProjectSettings, Settings, variables
from daemon.settings.shape import Wanted, describe_bounds, written

INTRODUCTION = """\
# Configuration

<!-- Made from the models by `python -m daemon.settings.document > docs/configuration.md`; a test compares the two. -->

One YAML file, in which only the projects must be named. `config/lastgood.example.yaml` holds every key with a comment.
`lastgood check-config FILE` tells every mistake at once, as `file:line:column: key: what is wrong; what to write`, and
exits with 2; it exits with 0 when the configuration holds, warnings included. With `--history` it also holds the
thresholds against the traffic that the daemon's store remembers, of projects that are configured by id.

* **Durations** are whole numbers with units: `90s`, `5m`, `1h30m`, `2d`. **Ratios** are numbers from 0 to 1, never
  percent.
* Unknown keys, keys given twice, empty values, aliases, and values that the versions of YAML read differently (`no`,
  `10:30`, `1e-2`) are refused.
* **Variables** win over the file: `LASTGOOD_POLL__INTERVAL=30s` stands for `poll.interval`. Lists are in the file only.
  A variable that looks like a setting and is none is refused.
* **Tokens** are never in the file. Each has a file of its own, read again at each use, so that a rotated token needs no
  restart; while that file is missing or empty, nothing is sent. A variable holds a token until the next start.
* **Changes** of the file are in force within two seconds, one after SIGHUP (`systemctl kill -s HUP lastgood`), as a
  whole or not at all: a file with a mistake changes nothing, is told in the log (`config.rejected`) and leaves
  `lastgood_config_reload_success` at 0. `defaults`, `profiles`, `projects`, `poll.interval` and `log.level` can change;
  a file that changes anything else is refused, and says what needs a restart. Thresholds stay with an incident that is
  open; posture and guardrails are ruled under the newest configuration. A project that is named no more is let go when
  no incident of it is open, and until then only observed.
"""


PROFILES = """\
Policies that several projects share: names of your choice, each with some of the keys of `defaults`. A project inherits
`defaults`, then what its `profile` says, then what it says itself; a list replaces the inherited one as a whole.

```yaml
profiles:
  checkout:
    posture: automatic
    detectors:
      - kind: threshold
        max_error_rate: 0.02
projects:
  - name: shop
    profile: checkout
```
"""


_NAMES: dict[type, str] = {
    timedelta: "duration",
    str: "text",
    Path: "absolute path",
    SecretStr: "token",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
}


def document() -> str:
    """Return docs/configuration.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield INTRODUCTION
    for name, field in Settings.model_fields.items():
        wanted = Wanted.by(field)
        model = wanted.item or wanted.type
        yield f"## `{name}`\n"
        if wanted.named is not None:
            yield PROFILES
            continue
        yield f"{_prose(model)}\n"
        if model is ProjectSettings:
            own = {key: one for key, one in model.model_fields.items() if key not in PolicySettings.model_fields}
            yield from _table(own, name)
            continue
        yield from _table(model.model_fields, name)
        for key, inner in model.model_fields.items():
            yield from _kinds(f"{name}.{key}", inner)
    yield "## What must hold between keys\n"
    yield "Refused with both numbers, and never adjusted:\n"
    yield from _sentences((*LAWS, a_token_is_given))
    yield "* In a `threshold` detector, `breaches_min` is at most `windows`: else it could never be met."
    yield "\nAllowed, with a warning:\n"
    yield from _sentences((*LINTS, *GATE_LINTS))


def _table(fields: dict[str, FieldInfo], section: str) -> Iterator[str]:
    names = {way: name for name, way in variables().items()}
    yield "| key | takes | default | what it is |"
    yield "|---|---|---|---|"
    for key, field in fields.items():
        variable = names.get((section, key))
        shown = key if Wanted.by(field).type is not SecretStr else f"{key}` (variable `{variable}"
        closing = ")" if shown != key else ""
        yield f"| `{shown}`{closing} | {_takes(field)} | {_default(field)} | {field.description} |"
    yield ""


def _kinds(name: str, field: FieldInfo) -> Iterator[str]:
    wanted = Wanted.by(field)
    for kind, model in (Wanted.of(wanted.item).kinds if wanted.item else {}).items():
        yield f"### `{name}`, `kind: {kind}`\n"
        yield f"{_prose(model)}\n"
        yield from _table({key: one for key, one in model.model_fields.items() if key != "kind"}, name)
        for key, inner in model.model_fields.items():
            item = Wanted.of(Wanted.by(inner).item).type
            if isinstance(item, type) and issubclass(item, BaseModel):
                yield f"Each of its `{key}`:\n"
                yield from _table(item.model_fields, name)


def _sentences(checks: tuple[Check, ...]) -> Iterator[str]:
    for check in checks:
        yield f"* {_prose(check)}"


def _prose(documented: Any) -> str:
    lines = [line.strip() for line in (documented.__doc__ or "").strip().splitlines()]
    return "\n".join(lines)


def _takes(field: FieldInfo) -> str:
    wanted = Wanted.by(field)
    if wanted.words and wanted.beside is not None:
        return f"{_NAMES[wanted.beside]} or {' or '.join(f'`{word}`' for word in wanted.words)}"
    if wanted.words:
        return " or ".join(f"`{word}`" for word in wanted.words)
    if wanted.item is not None:
        item = Wanted.of(wanted.item)
        names = " or ".join(f"`{kind}`" for kind in item.kinds) or _NAMES.get(item.type, "section") + "s"
        return f"list of {names}"
    what = "ratio" if wanted.is_ratio else _NAMES[wanted.type]
    bounds = describe_bounds(field)
    return f"{what}, {bounds}" if bounds else what


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is None or default is PydanticUndefined:
        return "none"
    if isinstance(default, tuple):
        return ", ".join(f"`{_entry(one)}`" for one in default) or "empty"
    assert not isinstance(default, BaseModel), "sections are shown by their keys"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default.value if isinstance(default, Enum) else written(default)}`"


def _entry(one: Any) -> str:
    """Return one entry of a list: its kind, or, where it has none, all that it says."""
    kind: str | None = getattr(one, "kind", None)
    if kind is not None:
        return kind
    return f"{{{', '.join(f'{key}: {written(getattr(one, key))}' for key in type(one).model_fields)}}}"


if __name__ == "__main__":
    sys.stdout.write(document())
