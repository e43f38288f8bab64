"""The model, then Valkey, are away under full input: memory stays flat, lag grows, and all recovers without help."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from cosmo.stack.parts import Name
from cosmo.stack.stack import Stack
from tests.faults.explained import Explained
from tests.faults.processes import Running
from tests.faults.stream import Feed, Stream, streaming
from tests.faults.verdict import accounted, differences_of, report, rest, tell
from tests.support.processes import until

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.timeout(7200)]

FORGIVEN_BYTES = 48 * 1024 * 1024
"""Allocators, and the facts that come in meanwhile. Events that pile up would take more: each outage sees about
1 kB × 1,000 a second."""
AGAIN = 20
"""Earlier events sent again with each new one."""
START_S = 120.0
WARM_UP_S = 15.0
"""Under load and with everything there: what a process needs for its work at all is no growth."""


@dataclass
class Watched:
    """Resident memory of each worker, and the lag of the stage before which things pile up, once a second."""

    stream: Stream
    stage: str
    rss_bytes: dict[str, list[int]] = field(default_factory=dict)
    lags: list[int] = field(default_factory=list)

    def watch(self, seconds: float) -> None:
        stop_at = time.monotonic() + seconds
        while time.monotonic() < stop_at:
            self.stream.crew.look()
            for worker in self._workers():
                self.rss_bytes.setdefault(worker.name, []).append(worker.rss_bytes)
            if (lag := self.stream.lag(self.stage)) is not None:
                self.lags.append(lag)
            time.sleep(1.0)

    def growth_bytes(self, name: str) -> int:
        """From the highest of the first half to the highest of the second."""
        seen = self.rss_bytes[name]
        return max(seen[len(seen) // 2 :]) - max(seen[: len(seen) // 2])

    def lines(self, what: str, seconds: float) -> list[str]:
        memory = [
            f"{name} {max(seen[: len(seen) // 2]) / 1e6:.0f} → {max(seen[len(seen) // 2 :]) / 1e6:.0f} MB"
            for name, seen in self.rss_bytes.items()
        ]
        return [f"{what} away {seconds:.0f} s: lag of {self.stage} {self.lags[0]} → {self.lags[-1]}", *memory]

    def _workers(self) -> list[Running]:
        return [worker for workers in self.stream.workers.values() for worker in workers]


def test_an_outage_costs_time_and_nothing_else(
    pytestconfig: pytest.Config, three_brokers: Stack, topic_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds: float = pytestconfig.getoption("--faults-outage-s")
    with streaming(three_brokers, prefix=topic_prefix, each=1) as stream:
        account = accounted(stream, sessions=pytestconfig.getoption("--faults-sessions"), seed=7)
        assert until(stream.owned_by_workers, within_s=START_S)
        feed = Feed(stream.settings, account.expected.events, WARM_UP_S + 2 * seconds, again=AGAIN)
        feed.start()
        Watched(stream, "ingest").watch(WARM_UP_S)
        no_model = _without(stream, "infer", seconds, stream.model.kill_for_good, stream.model.start)
        (valkey,) = stream.stack.parts[Name.VALKEY].children
        no_valkey = _without(stream, "materialize", seconds, valkey.kill, valkey.start)
        feed.join()
        rest_s = rest(stream, account, stream.crew.look)
        explained = Explained(account)
        differences = differences_of(account, explained)
        lines = [
            *no_model.lines("model", seconds),
            *no_valkey.lines("Valkey", seconds),
            f"at rest after {rest_s:.0f} s",
        ]
        tell(capsys, lines + report(stream, account, explained, differences))
    assert stream.crew.deaths == []
    for watched in (no_model, no_valkey):
        assert watched.lags[-1] > 0
        assert {
            name: grown for name in watched.rss_bytes if (grown := watched.growth_bytes(name)) > FORGIVEN_BYTES
        } == {}
    assert {name: some[:20] for name, some in differences.items() if some} == {}


def _without(stream: Stream, stage: str, seconds: float, take: Callable[[], None], give: Callable[[], None]) -> Watched:
    watched = Watched(stream, stage)
    take()
    watched.watch(seconds)
    give()
    return watched
