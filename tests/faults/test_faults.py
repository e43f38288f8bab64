"""Everything is killed at random moments under load, and in the end nothing is lost, doubled or invented."""

from __future__ import annotations

import time

import pytest

from cosmo.stack.stack import Stack
from tests.faults.chaos import Chaos
from tests.faults.explained import Explained
from tests.faults.stream import Feed, streaming
from tests.faults.verdict import accounted, differences_of, report, rest, tell
from tests.support.processes import until

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.timeout(7200)]

START_S = 120.0
PAUSES_S = (0.5, 3.0)
LOAD_S_PER_KILL = 2.5


def test_nothing_is_lost_doubled_or_invented(
    pytestconfig: pytest.Config, three_brokers: Stack, topic_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kills, seed = pytestconfig.getoption("--faults-kills"), pytestconfig.getoption("--faults-seed")
    with streaming(three_brokers, prefix=topic_prefix) as stream:
        account = accounted(stream, sessions=pytestconfig.getoption("--faults-sessions"), seed=seed)
        chaos, feed = Chaos(stream, seed), Feed(stream.settings, account.expected.events, kills * LOAD_S_PER_KILL)
        assert until(stream.owned_by_workers, within_s=START_S)
        feed.start()
        began_s = time.monotonic()
        chaos.run(lambda: feed.is_alive() or chaos.total < kills, pauses_s=PAUSES_S)
        chaos.mend()
        feed.join()
        storm_s = time.monotonic() - began_s
        rest_s = rest(stream, account, chaos.look)
        explained = Explained(account)
        differences = differences_of(account, explained)
        lines = [
            f"seed {seed}: kills {chaos.total} {dict(chaos.kills)}, "
            f"of the pauses {chaos.given_away} until the partitions were another's",
            f"storm {storm_s:.0f} s, at rest {rest_s:.0f} s later",
        ]
        tell(capsys, lines + report(stream, account, explained, differences))
    assert feed.failed == []
    assert feed.confirmed == len(account.expected.events)
    assert chaos.total >= kills
    assert stream.crew.defects == []
    assert {name: some[:20] for name, some in differences.items() if some} == {}
