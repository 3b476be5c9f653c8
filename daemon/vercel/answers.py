"""What an HTTP answer of Vercel means to us: JSON worth having, or one error of the ports' tree. Pure."""

from dataclasses import dataclass
from datetime import datetime

from pydantic_core import from_json

from daemon.ports.errors import OutcomeUnknown, PortError, RateLimited, Refused, Unavailable, Unintelligible
from daemon.vercel.allowance import read_date

RETRY_AFTER_SECONDS_MAX = 3600.0
REASON_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came over the wire; header values are None when absent.

    `is_overlong`: the body was longer than the bound and the rest was not read. `is_cut`: the connection broke, or the
    compression was wrong, before the body's end; `body` then holds what came until then.
    """

    status: int
    content_type: str | None = None
    retry_after: str | None = None
    body: bytes = b""
    is_overlong: bool = False
    is_cut: bool = False
    date: str | None = None


def judge_read(answer: Answer, *, what: str, now: datetime) -> object:
    """Return the JSON value in the answer to a read of *what*.

    Raises RateLimited (429, or 503 that says how long to wait), Unavailable (408, other 5xx, a body that broke off),
    Refused (other 4xx), Unintelligible (a redirect, no JSON, over-long).
    Source: Vercel CLI 64.0.2, client (waits on 429, and on 503 with Retry-After); Vercel OpenAPI, error envelope.
    """
    if answer.status // 100 != 2:
        raise _trouble(answer, what=what, now=now)
    if answer.is_cut:
        raise Unavailable(f"{what}: the answer broke off; will read again")
    if answer.is_overlong:
        raise Unintelligible(f"{what}: the answer is longer than {len(answer.body)} bytes; taken as no answer")
    if not is_json(answer.content_type):
        raise Unintelligible(f"{what}: answered {answer.status} with {answer.content_type!r} instead of JSON")
    try:
        return from_json(answer.body, allow_inf_nan=False)
    except ValueError as error:
        raise Unintelligible(f"{what}: answered {answer.status} with text that is not JSON") from error


def judge_write(answer: Answer, *, what: str, now: datetime) -> int:
    """Return the 2xx status that answered the write *what*; its body is not looked at.

    Raises RateLimited (429), Refused (other 4xx), OutcomeUnknown (5xx; 3xx, which may follow a write that was applied;
    408, which a proxy may send while the write goes on).
    """
    if answer.status // 100 == 2:
        return answer.status
    code, reason = read_reason(answer.body)
    if answer.status == 429:
        raise RateLimited(_sentence(what, answer, reason), retry_after_seconds=read_wait(answer, now=now))
    if answer.status // 100 == 4 and answer.status != 408:
        raise Refused(_sentence(what, answer, reason), status=answer.status, code=code)
    raise OutcomeUnknown(f"{_sentence(what, answer, reason)}; it may have been applied, so read production first")


def _trouble(answer: Answer, *, what: str, now: datetime) -> PortError:
    code, reason = read_reason(answer.body)
    sentence = _sentence(what, answer, reason)
    wait = read_wait(answer, now=now)
    if answer.status == 429 or (answer.status == 503 and wait is not None):
        return RateLimited(sentence, retry_after_seconds=wait)
    if answer.status >= 500 or answer.status == 408:
        return Unavailable(sentence)
    if answer.status >= 400:
        return Refused(sentence, status=answer.status, code=code)
    return Unintelligible(f"{sentence}; redirects are never followed")


def _sentence(what: str, answer: Answer, reason: str) -> str:
    return f"{what}: answered {answer.status}: {reason or 'no reason given'}"


def read_wait(answer: Answer, *, now: datetime) -> float | None:
    """Return the seconds that the server asks us to wait; None when it does not say."""
    # A date of the server's clock says nothing on ours, which may be off.
    return parse_retry_after(answer.retry_after, now=read_date(answer.date) or now)


def is_json(content_type: str | None) -> bool:
    """Return whether *content_type* promises JSON. Source: Vercel CLI 64.0.2, which looks for the same words."""
    return "application/json" in (content_type or "").lower()


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds to wait, 0..RETRY_AFTER_SECONDS_MAX; None when the header is absent or unreadable.

    Source: RFC 9110, section 10.2.3 (seconds, or an HTTP date).
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # More digits than the cap has say no more than the cap does.
        return min(float(text[:12]), RETRY_AFTER_SECONDS_MAX)
    moment = read_date(text)
    return None if moment is None else min(max((moment - now).total_seconds(), 0.0), RETRY_AFTER_SECONDS_MAX)


def read_reason(body: bytes) -> tuple[str, str]:
    """Return code and message of the error envelope in *body*, '' where it has none; bounded, one line, printable.

    Source: Vercel CLI 64.0.2, which accepts `error`, `err` or the bare object.
    """
    try:
        envelope = from_json(body)
    except ValueError:
        return "", ""
    if isinstance(envelope, dict):
        envelope = envelope.get("error") or envelope.get("err") or envelope
    if not isinstance(envelope, dict):
        return "", ""
    return printable(envelope.get("code")), printable(envelope.get("message"))


def printable(value: object) -> str:
    """Return *value*, if it is a text, on one line and no longer than is fit for a log."""
    text = value if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else " " for c in text[:REASON_CHARACTERS_MAX]).strip()
