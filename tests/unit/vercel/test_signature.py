"""The signature of what Vercel sends by itself: one of our secrets, over the very bytes that came, or nothing."""

import hashlib
import hmac

import pytest

from daemon.vercel.signature import is_signed

BODY = b'{"type":"deployment.promoted"}'


def sign(secret: str, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


def test_the_signature_is_the_hex_hmac_sha1_of_the_body() -> None:
    # RFC 2202, test case 2 for HMAC-SHA-1.
    assert is_signed(b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", secrets=["Jefe"])


@pytest.mark.parametrize("secrets", [["one"], ["old", "one"], ["one", "new"], ["one", "one"], ["", "one"]])
def test_any_of_the_secrets_will_do(secrets: list[str]) -> None:
    assert is_signed(BODY, sign("one"), secrets=secrets)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        sign("other"),
        sign("one")[:-1],
        sign("one") + "0",
        sign("one").upper(),
        f"sha1={sign('one')}",
        hmac.new(b"one", BODY, hashlib.sha256).hexdigest(),
        "\xff" * 40,
        "\u0661" * 40,
        sign("one", BODY + b" "),
    ],
)
def test_anything_else_is_not_signed(signature: str | None) -> None:
    assert not is_signed(BODY, signature, secrets=["one", "two"])


def test_an_empty_secret_signs_nothing() -> None:
    assert not is_signed(BODY, sign(""), secrets=[""])
    assert not is_signed(BODY, sign(""), secrets=[])


def test_every_secret_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    # That the time tells nothing cannot be measured soundly; that all the work is done, can be counted.
    compared = []

    def compare(expected: bytes, given: bytes) -> bool:
        compared.append(expected)
        return expected == given

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert is_signed(BODY, sign("one"), secrets=["one", "two", "three"])
    assert not is_signed(BODY, "", secrets=["one", "two", "three"])
    assert len(compared) == 6
