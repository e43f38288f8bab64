"""The state of a partition is worked on by one thread at a time, whatever is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from streams.sampling.owned import _in_thread


async def test_work_in_a_thread_is_waited_for_however_often_it_is_cancelled() -> None:
    """A stop cancels, and so does a partition that is lost during it; the lock must not be given on before the end."""
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert may_end.wait(10.0)

    task = asyncio.create_task(_in_thread(work))
    await asyncio.to_thread(begun.wait, 10.0)
    for _ in range(3):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
