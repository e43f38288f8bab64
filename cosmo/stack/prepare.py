"""Prepares parts in parallel: most of the first start is downloading, and none should wait for another's."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial

from cosmo.stack.parts import Part


def prepare_all(parts: Sequence[Part], say: Callable[[Part, str], None]) -> None:
    """Returns when all are prepared; raises what the first failing one raised.

    The threads are daemons: an interrupted program ends at once instead of waiting for its downloads, whose files
    appear only when complete. What they start is tied to this process.
    """
    outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    for part in parts:
        threading.Thread(target=_prepare, args=(part, partial(say, part), outcomes), daemon=True).start()
    for _ in parts:
        if error := outcomes.get():
            raise error


def _prepare(part: Part, say: Callable[[str], None], outcomes: queue.SimpleQueue[BaseException | None]) -> None:
    try:
        part.prepare(say)
    except BaseException as error:  # noqa: BLE001 - carried to the caller's thread, which raises it
        outcomes.put(error)
    else:
        outcomes.put(None)
