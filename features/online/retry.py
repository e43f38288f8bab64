"""Waiting out a dependency that does not answer, without end: giving up would only restart the worker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.waiting import WAITING, pause_s

T = TypeVar("T")


async def persistently(
    call: Callable[[], Awaitable[T]],
    *,
    dependency: str,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    jitter: Callable[[], float] = random.random,
) -> T:
    """The result of ``call``, repeated while it fails with an error that is retriable. ``call`` must be idempotent.

    Other errors are the caller's.
    """
    attempt = 0
    while True:
        try:
            result = await call()
        except CosmoError as error:
            if not error.retriable:
                raise
            WAITING.failed(dependency, error.what)
            await sleep(pause_s(attempt, jitter))
            attempt += 1
        else:
            if attempt:
                WAITING.answered(dependency)
            return result
