"""Waiting out a dependency that does not answer, without end: giving up would only restart the worker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.metrics import counter

T = TypeVar("T")

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
"""What is back is noticed within this time; a crowd of writers does not come back at one instant (jitter)."""

log = logs.get(__name__)


async def persistently(
    call: Callable[[], Awaitable[T]],
    *,
    dependency: str,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    jitter: Callable[[], float] = random.random,
) -> T:
    """The result of ``call``, repeated while it fails with an error that is retriable. ``call`` must be idempotent.

    Each pause is a random part of a bound that doubles ("full jitter"). Other errors are the caller's.
    """
    attempt = 0
    while True:
        try:
            result = await call()
        except CosmoError as error:
            if not error.retriable:
                raise
            counter("cosmo_waits_total").labels(dependency).inc()
            if attempt == 0:
                log.warning("waiting for a dependency", dependency=dependency, reason=error.what)
            await sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempt, 16)) * jitter())
            attempt += 1
        else:
            if attempt:
                log.info("dependency is back", dependency=dependency, attempts=attempt)
            return result
