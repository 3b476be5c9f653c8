"""One table of reasons and remedies, in code and in the docs."""

import re
from pathlib import Path

from daemon.core.signal import SignalReason
from daemon.doctor.remedies import ADVICE, remedy_for, remedy_for_source, remedy_of
from daemon.ports.errors import RateLimited, Refused, Unavailable

DOCUMENT = Path(__file__).parents[3] / "docs" / "signals.md"


def test_the_docs_have_the_same_words_in_the_same_order() -> None:
    text = DOCUMENT.read_text(encoding="utf-8").split("| reason | what it means | what to do |")[1]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", text, flags=re.MULTILINE)
    assert rows == [(reason.value, advice.meaning, advice.remedy) for reason, advice in ADVICE.items()]


def test_every_reason_has_a_remedy() -> None:
    assert set(ADVICE) == set(SignalReason) - {SignalReason.NONE}


def test_a_terminal_shows_no_markup() -> None:
    assert not any("`" in remedy_for(reason) for reason in ADVICE)


def test_a_read_that_failed_has_the_remedy_of_its_reason() -> None:
    assert remedy_of(Refused("no", status=402)) == "remove the source, or buy the plan"
    assert remedy_of(RateLimited("slower")) == "a longer poll.interval, or fewer sources"


def test_where_it_is_not_vercel_that_is_asked_vercel_is_not_named() -> None:
    silent = Unavailable("no answer")
    assert "Vercel" in remedy_for_source("observability", silent)
    assert not any("Vercel" in remedy_for_source(kind, silent) for kind in ("log_drain", "prometheus", "probe"))
