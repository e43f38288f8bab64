"""The circuit breaker: who may ask a server that fails, and how often it is probed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, OPENS_AFTER, Breaker


def opened(jitter: float = 1.0) -> Breaker:
    breaker = Breaker()
    for _ in range(OPENS_AFTER):
        breaker.failed(0.0, jitter)
    return breaker


def test_it_opens_after_failures_in_a_row_and_not_after_scattered_ones() -> None:
    breaker = Breaker()
    for _ in range(3 * OPENS_AFTER):
        breaker.failed(0.0, 0.0)
        breaker.worked()
    assert breaker.closed
    assert not opened().closed


def test_one_probe_is_let_through_after_the_pause_and_no_second_beside_it() -> None:
    breaker = opened()
    assert not breaker.may_probe(FIRST_PAUSE_S * 0.99)
    assert breaker.may_probe(FIRST_PAUSE_S)
    assert not breaker.may_probe(FIRST_PAUSE_S + 1.0)


def test_a_probe_that_fails_opens_it_for_longer_and_one_that_works_closes_it() -> None:
    breaker = opened()
    assert breaker.may_probe(FIRST_PAUSE_S)
    breaker.trip(FIRST_PAUSE_S, 1.0)
    assert breaker.wait_s(FIRST_PAUSE_S) == 2 * FIRST_PAUSE_S
    assert breaker.may_probe(3 * FIRST_PAUSE_S)
    breaker.worked()
    assert breaker.closed
    assert not breaker.may_probe(100.0)


def test_what_was_in_flight_when_it_opened_does_not_lengthen_the_pause() -> None:
    breaker = opened()
    for _ in range(10):
        breaker.failed(0.1, 1.0)
    assert breaker.wait_s(0.0) == FIRST_PAUSE_S


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=100))
def test_pauses_grow_to_a_bound_and_never_beyond(jitters: list[float]) -> None:
    breaker, now_s = opened(), 0.0
    for jitter in jitters:
        now_s += breaker.wait_s(now_s)
        assert breaker.may_probe(now_s)
        breaker.trip(now_s, jitter)
        assert FIRST_PAUSE_S / 2 <= breaker.wait_s(now_s) <= LONGEST_PAUSE_S + 1e-9
