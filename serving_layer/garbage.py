"""What Python's cycle collector looks at, again and again, while a process answers."""

import gc

__all__ = ["spare_what_stays"]

_YOUNG = 10_000  # new containers between two looks; the rows of a large answer are as many


def spare_what_stays() -> None:
    """Leave out all that there is now: modules, routes and definitions stay as long as the process does.

    A look at them holds every request up for some 70 ms, and a large answer brings one about.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
