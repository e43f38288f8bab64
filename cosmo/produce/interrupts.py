"""Ctrl-C and SIGTERM between two lines, never within one: every line that was taken is accounted for.

Python raises KeyboardInterrupt wherever it happens to be, which may be between a record's confirmation and its count.
Here a signal is remembered, and raised only while input is waited for and where the code asks.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Pure but for `listening`, which makes it the handler of the process's signals. In a thread it hears none."""

    def __init__(self) -> None:
        self._pending = False
        self._reading = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, lambda *_: self.press()) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def press(self) -> None:
        """A signal came. Raises KeyboardInterrupt while input is waited for."""
        self._pending = True
        if self._reading:
            self.check()

    def check(self) -> None:
        """Raises KeyboardInterrupt for a signal that came since the last call; here it may be raised."""
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def between(self, found: Iterable[T]) -> Iterator[T]:
        """The same, one after the other; a signal is raised before the next and while it is waited for."""
        each = iter(found)
        while True:
            self._reading = True
            try:
                self.check()
                one = next(each)
            except StopIteration:
                return
            finally:
                self._reading = False
            yield one
