"""Says what is waited for while that takes long, so that nobody takes silence for work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SLOW_S = 1.0
"""Soon enough for a person not to wonder, and far more than brokers that are there take to answer."""


@contextmanager
def said_when_slow(say: Callable[[str], None], what: str) -> Iterator[None]:
    """Calls ``say`` once, from another thread, when the block takes longer than `SLOW_S`."""
    timer = threading.Timer(SLOW_S, say, [f"Waiting for {what} …"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # whoever is spoken to may go now
