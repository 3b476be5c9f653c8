"""A thousand random edits of a configuration under a running reloader: nothing but what holds is ever in force."""

import json
import random  # noqa: TID251 - seeded, and the seed stands in each failure
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from daemon.bootstrap.reload import LOOK_EVERY_SECONDS, ConfigFile, Reloader
from daemon.settings import ConfigError, Settings, load
from daemon.telemetry.metrics import Metrics
from tests.fakes.clock import VirtualClock

pytestmark = pytest.mark.slow

EDITS = 1_000
SEED = 20260222
SECRETS = ("vcp_NeverRepeatMeAnywhere0123456789", "whsec-4f1d9c02b7e84a6f", "Zm9vYmFyYmF6cXV4cXV1eA")
TYPOS = ("postur", "detector", "project", "max_errors", "foo", "kinds", "x-anything", "Posture", "poll.interval")
WRONG = (
    "yes",
    "0x1f",
    "1e-2",
    "[]",
    "{}",
    "null",
    "-1",
    "5",
    "10:30",
    "'5'",
    "99999999999s",
    "prj_",
    "!!int 3",
    "*a",
    "&a b",
)
BROKEN = ("\t", "{", "]", '"', ": :", "- - -", "---", "\x00", "é: [", "<<: {a: b}", "? x", "%TAG")

BASE = """\
vercel:
  team: team_one
  request_timeout: 10s
store:
  path: /var/lib/lastgood/lastgood.db
web:
  port: 9464
log:
  level: info
poll:
  interval: 15s
  discover_every: 5m
defaults:
  posture: observe
  decision_ttl: 3m
  detectors:
    - kind: threshold
      window: 1m
      max_error_rate: 0.05
profiles:
  checkout:
    posture: approve
    approval_ttl: 20m
projects:
  - id: prj_A1
    name: shop
    profile: checkout
  - id: prj_B2
    lag_max: 6m
    guardrails:
      - kind: cooldown
        period: 30m
  - match: "blog-*"
    exclude: ["*-test"]
"""


@dataclass(slots=True)
class Case:
    """A text for the file. `must_fail`: it holds an unknown key or a key twice, so that it can never be in force."""

    text: str
    edit: str
    must_fail: bool = False


@dataclass(slots=True)
class Editor:
    """Makes edits of a text that holds; each kind draws all that it needs from one seeded source."""

    chance: random.Random
    counts: Counter[str] = field(default_factory=Counter)

    def edit(self, text: str) -> Case:
        kinds: dict[str, Callable[[list[str]], Iterator[Case]]] = {
            "drop": self._drop,
            "double": self._double,
            "wrong": self._wrong,
            "unknown": self._unknown,
            "broken": self._broken,
            "secret": self._secret,
            "frozen": self._frozen,
            "valid": self._valid,
        }
        name = self.chance.choice(list(kinds))
        [case] = kinds[name](text.splitlines())
        self.counts[name] += 1
        return case

    def _line(self, lines: list[str], pattern: str = r"\S") -> int:
        return self.chance.choice([index for index, line in enumerate(lines) if re.search(pattern, line)])

    def _drop(self, lines: list[str]) -> Iterator[Case]:
        del lines[self._line(lines)]
        yield Case("\n".join(lines) + "\n", "drop")

    def _double(self, lines: list[str]) -> Iterator[Case]:
        index = self._line(lines, r"^ *[a-z_]+: \S")
        lines.insert(index, lines[index])
        yield Case("\n".join(lines) + "\n", "double", must_fail=True)

    def _wrong(self, lines: list[str]) -> Iterator[Case]:
        index = self._line(lines, r": \S")
        lines[index] = lines[index].partition(": ")[0] + ": " + self.chance.choice(WRONG)
        yield Case("\n".join(lines) + "\n", "wrong")

    def _unknown(self, lines: list[str]) -> Iterator[Case]:
        index = self._line(lines, r"^ *[a-z_]+: \S")
        indent = re.match(" *", lines[index])
        assert indent
        # `profiles` holds names of the writer's choice, so that none of its own keys is unknown.
        lines.insert(index, f"{indent[0]}{self.chance.choice(TYPOS)}: 5m")
        yield Case("\n".join(lines) + "\n", "unknown", must_fail=True)

    def _broken(self, lines: list[str]) -> Iterator[Case]:
        index = self._line(lines)
        at = self.chance.randint(0, len(lines[index]))
        lines[index] = lines[index][:at] + self.chance.choice(BROKEN) + lines[index][at:]
        yield Case("\n".join(lines) + "\n", "broken")

    def _secret(self, lines: list[str]) -> Iterator[Case]:
        index, secret = self._line(lines, r":"), self.chance.choice(SECRETS)
        head, _, value = lines[index].partition(":")
        indent = head[: len(head) - len(head.lstrip(" -"))]
        lines[index] = self.chance.choice(
            [
                f"{head}: {secret}",
                f"{head}: {value} {secret}",
                f"{indent}{secret}:{value}",
                f"{indent}read_token: {secret}",
                f"{head}: ['{secret}']",
                f"{head}: {{{secret}: {secret}}}",
                f'{head}: "{secret}',
                f"{indent}{secret}",
                f"{head}: !{secret} x",
                f"{head}: *{secret}",
            ]
        )
        yield Case("\n".join(lines) + "\n", "secret")

    def _frozen(self, lines: list[str]) -> Iterator[Case]:
        index = self._line(lines, r"^  (team|request_timeout|path|port): ")
        key = lines[index].split(":")[0]
        value = {"team": "team_two", "request_timeout": "9s", "path": "/tmp/x.db", "port": "9465"}[key.strip()]
        lines[index] = f"{key}: {value}"
        yield Case("\n".join(lines) + "\n", "frozen", must_fail=True)

    def _valid(self, lines: list[str]) -> Iterator[Case]:
        values = {
            "posture": ["observe", "approve", "automatic"],
            "interval": ["10s", "15s", "20s"],
            "discover_every": ["1m", "5m", "10m"],
            "level": ["debug", "info", "warning"],
            "decision_ttl": ["2m", "3m", "4m"],
            "approval_ttl": ["10m", "20m", "30m"],
            "max_error_rate": ["0.02", "0.05", "0.1"],
            "lag_max": ["5m", "6m", "7m"],
            "period": ["20m", "30m", "1h"],
            "exclude": ['["*-test"]', '["*-old", "x"]'],
        }
        index = self._line(lines, f"^ *({'|'.join(values)}): ")
        key = lines[index].split(":")[0]
        lines[index] = f"{key}: {self.chance.choice(values[key.strip()])}"
        yield Case("\n".join(lines) + "\n", "valid")


class House:
    """A reloader, everything that it said, and what it put in force."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lastgood.yaml"
        self.path.write_text(BASE, encoding="utf-8")
        self.env = {"LASTGOOD_VERCEL__READ_TOKEN": SECRETS[0]}
        self.clock, self.metrics = VirtualClock(), Metrics(CollectorRegistry(), version="0")
        self.put: list[Settings] = []
        self.file = ConfigFile(self.path, self.env, load(self.path, self.env))
        self.metrics.tell_config(1, self.file.loaded.digest, at=self.clock.now())
        self.reloader = Reloader(self.file, prepare=self._prepare, clock=self.clock, metrics=self.metrics)

    async def _prepare(self, settings: Settings) -> Callable[[int], None]:
        return lambda _generation: self.put.append(settings)

    async def offer(self, text: str) -> list[dict[str, object]]:
        """Let the file say *text*, and return what was logged until it was tried."""
        self.path.write_bytes(text.encode("utf-8"))
        with capture_logs() as lines:
            for _ in range(2):
                await self.clock.advance(LOOK_EVERY_SECONDS)
                await self.reloader.look()
        return [{**line} for line in lines]

    def accepts(self, text: str) -> bool:
        """Return whether *text* holds and changes nothing that needs a restart, asked of the loader alone."""
        try:
            wanted = load(self.path, self.env, checks_tokens=False, content=text.encode("utf-8")).settings
        except ConfigError:
            return False
        return _frozen_part(wanted) == _frozen_part(self.file.loaded.settings)

    def value(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"lastgood_config_{name}")


async def test_I_29_of_a_thousand_edits_only_what_holds_is_ever_in_force_and_no_secret_is_told(tmp_path: Path) -> None:
    house, editor = House(tmp_path), Editor(random.Random(SEED))
    in_force, outcomes = BASE, Counter[str]()
    for number in range(EDITS):
        case = editor.edit(in_force)
        before = (house.reloader.settings, house.reloader.generation, len(house.put))
        lines = await house.offer(case.text)
        where = f"seed {SEED}, edit {number} ({case.edit}):\n{case.text}"

        shown = json.dumps(lines, default=str) + generate_latest(house.metrics.registry).decode()
        assert not [secret for secret in SECRETS if secret in shown], where

        events = [line["event"] for line in lines]
        is_new = house.reloader.generation == before[1] + 1
        if is_new:
            assert events == ["config.reloaded"], where
            assert not case.must_fail, where
            assert house.accepts(case.text), where
            assert house.reloader.settings is house.put[-1], where
            in_force = case.text
        else:
            assert (house.reloader.settings, house.reloader.generation, len(house.put)) == before, where
            assert house.reloader.settings is before[0], where
            assert "config.reloaded" not in events, where
            assert case.text == in_force or not house.accepts(case.text), where
        assert house.value("reload_success") == (1 if is_new or case.text == in_force else 0), where
        assert house.value("generation") == house.reloader.generation, where
        outcomes["in force" if is_new else "same" if case.text == in_force else "refused"] += 1
        # Wander, but come home now and then, or dropped lines would leave nothing to edit.
        if number % 20 == 19:
            await house.offer(BASE)
            in_force = BASE
    assert min(editor.counts.values()) > EDITS // 20, editor.counts
    assert outcomes["in force"] > EDITS // 20, outcomes
    assert outcomes["refused"] > EDITS // 2, outcomes


def _frozen_part(settings: Settings) -> object:
    return settings.vercel, settings.store, settings.web, settings.log.format, settings.poll.lease_ttl
