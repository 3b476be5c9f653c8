"""Exact binomial confidence limits of an error ratio, without numpy.

Source: Clopper and Pearson 1934; the incomplete beta function by Lentz's continued fraction, as in DLMF 8.17.22.
"""

import math
from collections.abc import Callable

_TINY = 1e-300
_PRECISION = 1e-14
_FRACTION_TERMS_MAX = 20_000


def upper_limit(errors: int, requests: int | None, *, confidence: float = 0.95) -> float:
    """Return the one-sided Clopper-Pearson upper limit of the error ratio, 0..1.

    1.0 without requests, and where nobody counted them (None): nothing is known then.
    """
    if requests is None or errors >= requests:
        return 1.0
    return _solve(lambda ratio: probability_at_most(errors, requests, ratio) - (1 - confidence))


def lower_limit(errors: int, requests: int, *, confidence: float = 0.95) -> float:
    """Return the one-sided Clopper-Pearson lower limit of the error ratio, 0..1; 0.0 without errors."""
    if errors == 0:
        return 0.0
    return _solve(lambda ratio: (1 - confidence) - (1 - probability_at_most(errors - 1, requests, ratio)))


def probability_at_most(errors: int, requests: int, ratio: float) -> float:
    """Return P(X <= errors) for X binomial with *requests* trials of probability *ratio*.

    Source: P(X <= k) = I_{1-p}(n - k, k + 1), DLMF 8.17.5.
    """
    if errors >= requests:
        return 1.0
    if errors < 0:
        return 0.0
    return _incomplete_beta(requests - errors, errors + 1, 1 - ratio)


def _solve(falling: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    # The fraction converges quickly below the mean of the beta distribution; the symmetry covers the other side.
    if x < (a + 1) / (a + b + 2):
        return math.exp(log_front) * _fraction(a, b, x) / a
    return 1 - math.exp(log_front) * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _FRACTION_TERMS_MAX):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
