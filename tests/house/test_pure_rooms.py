"""Core, detectors and guardrails know data only: no clock, chance, I/O, logging or async."""

import pytest

from tests.house.pure_rooms import ALLOWED_ROOMS, impurities
from tests.house.tree import python_files, source


@pytest.mark.parametrize("room", ALLOWED_ROOMS)
def test_pure_rooms_import_data_modules_and_pydantic_only(room: str) -> None:
    broken = [
        f"{file}: {sentence}"
        for file in python_files(f"daemon/{room}")
        for sentence in impurities(source(file), room=room)
    ]
    assert not broken, "\n".join(broken)


def test_the_rule_looks_at_real_files() -> None:
    assert list(python_files("daemon/core"))


@pytest.mark.parametrize(
    ("planted", "sentence"),
    [
        ("import httpx", "line 1: imports httpx"),
        ("import sqlite3", "line 1: imports sqlite3"),
        ("import time", "line 1: imports time"),
        ("import os.path", "line 1: imports os.path"),
        ("from random import Random", "line 1: imports random"),
        ("def f():\n    import logging", "line 2: imports logging"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import httpx", "line 3: imports httpx"),
        ("import daemon.stores", "line 1: imports daemon.stores"),
        ("from daemon import stores", "line 1: imports daemon.stores"),
        ("from daemon.ports.clock import Clock", "line 1: imports daemon.ports.clock"),
        ("from daemon.detectors import threshold", "line 1: imports daemon.detectors"),
        ("from . import facts", "line 1: imports ."),
        ("from ..stores import sqlite", "line 1: imports ..stores"),
        ("import importlib", "line 1: imports importlib"),
        ("module = __import__('httpx')", "line 1: calls __import__()"),
        ("text = open('policy.yaml').read()", "line 1: calls open()"),
        ("async def step(): ...", "line 1: is async"),
    ],
)
def test_refuses_a_planted_defect_in_core(planted: str, sentence: str) -> None:
    assert list(impurities(planted, room="core")) == [sentence]


@pytest.mark.parametrize(
    ("allowed", "room"),
    [
        ("from collections.abc import Mapping", "core"),
        ("from daemon.core.facts import Sample", "core"),
        ("from daemon.core.facts import Sample", "guardrails"),
        ("from daemon.detectors import evidence", "detectors"),
        ("from pydantic import BaseModel", "guardrails"),
        ("from datetime import datetime", "detectors"),
    ],
)
def test_allows_data_modules_and_the_way_inward(allowed: str, room: str) -> None:
    assert list(impurities(allowed, room=room)) == []


def test_detectors_and_guardrails_do_not_know_each_other() -> None:
    assert list(impurities("import daemon.guardrails.cooldown", room="detectors"))
    assert list(impurities("import daemon.detectors.threshold", room="guardrails"))
