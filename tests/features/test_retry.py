from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from cosmo.runtime.waiting import LONGEST_PAUSE_S
from features.errors import StoreRefused, StoreUnreachable
from features.online.retry import persistently


def failing(times: int, error: Exception) -> Callable[[], Awaitable[str]]:
    left = [error] * times

    async def call() -> str:
        if left:
            raise left.pop()
        return "done"

    return call


async def pauses_of(times: int, jitter: float = 1.0) -> list[float]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    call = failing(times, StoreUnreachable("down"))
    assert await persistently(call, dependency="store", sleep=sleep, jitter=lambda: jitter) == "done"
    return pauses


async def test_pauses_double_up_to_a_bound() -> None:
    pauses = await pauses_of(10)
    assert pauses[:3] == [0.05, 0.1, 0.2]
    assert pauses[-1] == LONGEST_PAUSE_S


async def test_pauses_are_jittered_so_that_writers_do_not_return_together() -> None:
    assert await pauses_of(2, jitter=0.5) == [0.025, 0.05]


async def test_a_store_that_is_away_for_a_day_is_still_waited_for() -> None:
    assert len(await pauses_of(20_000)) == 20_000


async def test_an_error_that_will_not_pass_is_raised_at_once() -> None:
    with pytest.raises(StoreRefused):
        await persistently(failing(1, StoreRefused("wrong password")), dependency="store")
