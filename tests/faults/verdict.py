"""Waits until a stream is at rest, compares it with what should have become of it, and says so."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest

from tests.faults.account import Account
from tests.faults.expected import Expected
from tests.faults.explained import Explained
from tests.faults.stream import PARTITIONS, Stream
from tests.faults.world import world

SHOWN = 10
REST_S = 240.0
"""To work off what is left once nothing is broken any more: two or three rebalances, and the backlog."""
Differences = Mapping[str, list[str]]


def accounted(stream: Stream, *, sessions: int, seed: int) -> Account:
    """The events of a seed, and what should become of them."""
    now = datetime.now(UTC).replace(microsecond=0)  # records carry milliseconds
    events = world(stream.registry, sessions=sessions, seed=seed, now=now)
    return Account(stream.settings, stream.registry, Expected(events, PARTITIONS, now))


def rest(stream: Stream, account: Account, look: Callable[[], None]) -> float:
    """Until every group has read everything and every pair that qualifies is out; then the logs do not change any
    more. Returns the seconds it took."""
    began_s = time.monotonic()
    lags: dict[str, int | None] = {}
    out = False
    while time.monotonic() < began_s + REST_S:
        look()
        lags = {stage: stream.lag(stage) for stage in stream.workers}
        read = all(lag == 0 for lag in lags.values())
        if read and out:
            return time.monotonic() - began_s
        out = read and account.everything_is_out()  # before the lags: the last pairs may have come out after them
        time.sleep(0.5)
    missing = [line for check in account.checks for line in check()[:SHOWN]]
    raise AssertionError(
        f"no rest after {REST_S:.0f} s: lags {lags}, {stream.crew.deaths}, {stream.crew.defects}, {missing}"
    )


def differences_of(account: Account, explained: Explained) -> Differences:
    """By the name of the check."""
    return {check.__name__.replace("_", " "): check() for check in (*account.checks, *explained.checks)}


def report(stream: Stream, account: Account, explained: Explained, differences: Differences) -> list[str]:
    """Lines for a person; the last ones are the verdict."""
    expected = account.expected
    return [
        f"events {len(expected.events)} (refused {len(expected.refused)}), pairs that qualify {len(expected.pairs)}, "
        f"intents {len(explained.intents)}",
        f"redelivered {dict(account.redelivered()) | dict(explained.redelivered())}, "
        f"ended by themselves {len(stream.crew.deaths)}",
        *(f"  {death}" for death in stream.crew.deaths),
        *stream.crew.defects,
        *(f"{len(some)} differences: {name}" for name, some in differences.items()),
        *(f"  {one}" for some in differences.values() for one in some[:10]),
    ]


def tell(capsys: pytest.CaptureFixture[str], lines: list[str]) -> None:
    """On the terminal, also when the test passes."""
    with capsys.disabled():
        print("", *lines, sep="\n", file=sys.stderr, flush=True)
