"""What several e-values of one question say together: those of the whole and of its routes."""

from collections.abc import Sequence


def average_e_value(whole: float, routes: Sequence[float], *, slots: int) -> float:
    """Return the average of the e-value of the whole and those of *slots* routes, which is an e-value again.

    Whatever they depend on, the mean of e-values has an expectation of at most 1 where each has; their maximum has not,
    and would multiply the level by as many as there are. The weights have to be fixed beforehand: *slots* is how many
    routes could be judged, and a slot that none took yet is worth 1, as it has placed no bet. Where a route gives up
    its slot the next one goes on with its capital: to begin again at 1 would forget what was lost.
    Source: V. Vovk, R. Wang, "E-values: calibration, combination and applications", Annals of Statistics 49, 2021,
    section 3: the arithmetic mean essentially dominates every other symmetric way to merge e-values.
    """
    assert len(routes) <= slots, "a route that is judged has a slot"
    return (whole + sum(routes) + (slots - len(routes))) / (slots + 1)
