"""How often the interpreter looks for garbage in cycles: seldom, since looking holds everything up."""

import gc

_YOUNG, _MIDDLE, _OLD = 100_000, 20, 100
"""Net allocations between two looks at what is young, and looks of one age before one at the next."""


def collect_garbage_seldom() -> None:
    """Look for cycles among old objects hardly ever.

    A look at all of them visits the state of every project, which takes a second and more with ten thousand, during
    which nothing else runs; by default it would be due some times a minute, since every poll replaces the states. They
    are free of cycles, so that they go by themselves; what has cycles, such as an error with its traceback, is young
    when it is found. Source: Python documentation, `gc.set_threshold`.
    """
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
