"""The rate is kept, whenever the events come."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from cosmo.produce.rate import BURST_S, TokenBucket

RATES = st.floats(0.1, 50_000)


def times_sent(rate: float, pauses: list[float]) -> list[float]:
    """When each event goes, on a clock that only waiting and the given pauses move."""
    bucket, now, sent = TokenBucket(rate_per_s=rate), 1000.0, []
    for pause in pauses:
        now += pause
        now += bucket.take(now)
        sent.append(now)
    return sent


@given(RATES, st.lists(st.floats(0, 5), min_size=2, max_size=30))
def test_no_window_holds_more_than_the_rate_and_one_burst(rate: float, pauses: list[float]) -> None:
    sent = times_sent(rate, pauses)
    for first, last in combinations(range(len(sent)), 2):
        seconds = sent[last] - sent[first]
        assert last - first + 1 <= rate * (seconds + BURST_S) + 2.001


@given(RATES, st.integers(2, 200))
def test_who_always_has_something_to_send_sends_at_the_rate(rate: float, count: int) -> None:
    sent = times_sent(rate, [0.0] * count)
    assert abs((sent[-1] - sent[0]) - (count - 1) / rate) < 1e-6 * count


def test_who_sends_slower_never_waits() -> None:
    bucket = TokenBucket(rate_per_s=10)
    assert [bucket.take(number * 0.2) for number in range(20)] == [0.0] * 20
