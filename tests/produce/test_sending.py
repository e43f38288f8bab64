"""Sending against brokers that confirm late, refuse, or fail: every line is accounted for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st

from cosmo.produce import sending as sending_module
from cosmo.produce.broker import Confirmed
from cosmo.produce.formats import Format, outcomes
from cosmo.produce.interrupts import Interrupts
from cosmo.produce.lines import Line, numbered
from cosmo.produce.outcomes import Headers, Refusal
from cosmo.produce.rate import TokenBucket
from cosmo.produce.sending import LOOK_EVERY, REPORT_EVERY_S, Sending, codec_of
from cosmo.produce.summary import Summary, Tally
from cosmo.runtime.errors import CosmoError
from schemas.fixed_registry import FixedRegistry
from tests.produce.examples import search, text, ubi_event, ubi_query

CODEC = codec_of("query-purchase", FixedRegistry())
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


class Clock:
    """Moves only when somebody waits."""

    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(slots=True)
class LateBroker:
    """Confirms at most ``each`` records at a poll, oldest first; the rest when it is closed."""

    clock: Clock = field(default_factory=Clock)
    each: int = 3
    errors: dict[int, KafkaError] = field(default_factory=dict)
    """By the number of the record, from 0."""
    values: list[bytes] = field(default_factory=list)
    waiting: deque[tuple[int, Confirmed]] = field(default_factory=deque)
    closed: bool = False
    patience: int = 10**9
    """Turns of `close` before Ctrl-C is pressed again."""

    def send(self, value: bytes | None, key: bytes | None, headers: Headers, confirmed: Confirmed) -> None:
        self.waiting.append((len(self.values), confirmed))
        self.values.append(value or b"")

    def poll(self, timeout_s: float = 0.0) -> None:
        self.clock.now_s += timeout_s
        for _ in range(min(self.each, len(self.waiting))):
            self._confirm()

    def close(self, timeout_s: float) -> int:
        while self.waiting:
            if not self.patience:
                raise KeyboardInterrupt
            self.patience -= 1
            self._confirm()
        self.closed = True
        return 0

    def give_up(self) -> None:
        self.errors = {number: KafkaError(KafkaError._PURGE_QUEUE) for number, _ in self.waiting}
        while self.waiting:
            self._confirm()

    def _confirm(self) -> None:
        number, confirmed = self.waiting.popleft()
        confirmed(self.errors.get(number))


def sending(broker: LateBroker, **more: Any) -> Sending:
    tally = Tally(topic="query-purchase", started_s=broker.clock())
    return Sending(broker=broker, codec=CODEC, tally=tally, now=lambda: NOW, clock=broker.clock, **more)


def run(made: Sending, lines: Any, form: Format = Format.NATIVE) -> Summary:
    return made.run(outcomes(made.reading(lines), topic="query-purchase", form=form), close_s=1.0)


def good(count: int) -> Iterator[Line]:
    return numbered(text(*(search(event_id=f"e-{number}") for number in range(count))))


def test_what_is_sent_is_what_the_codec_reads() -> None:
    broker = LateBroker()
    summary = run(sending(broker), good(200))
    assert [CODEC.decode(value).event_id for value in broker.values] == [f"e-{number}" for number in range(200)]
    assert (summary.sent, summary.bytes) == (200, sum(map(len, broker.values)))
    assert broker.closed


def test_values_are_repaired_by_the_contract_and_refused_by_it() -> None:
    broker, refused = LateBroker(), list[Refusal]()
    lines = text(search(query="  rain\tcoat "), search(query=" "), search(event_time="2026-03-02T12:00:00Z"))
    run(sending(broker, refused=refused.append), numbered(lines))
    assert [CODEC.decode(value).query for value in broker.values] == ["rain coat"]
    assert [(one.line.number, str(one.reason)) for one in refused] == [(2, "empty_query"), (3, "time_in_future")]


KINDS = st.sampled_from([search(), search(query=""), search(action="x"), b"", b"{", search(event_id="\ud83d")])


@given(st.lists(KINDS, max_size=30), st.dictionaries(st.integers(0, 20), st.booleans(), max_size=3))
def test_every_line_is_accounted_for_once(kinds: list[Any], errors: dict[int, bool]) -> None:
    codes = {True: KafkaError.MSG_SIZE_TOO_LARGE, False: KafkaError._MSG_TIMED_OUT}
    broker = LateBroker(errors={number: KafkaError(codes[record_only]) for number, record_only in errors.items()})
    refused = list[Refusal]()
    summary = run(sending(broker, refused=refused.append), numbered(text(*kinds)))
    assert summary.waiting == 0
    assert summary.sent + summary.refused_total + sum(summary.passed.values()) == summary.lines == len(kinds)
    assert len(refused) == summary.refused_total
    failed = any(not record_only and number < len(broker.values) for number, record_only in errors.items())
    assert bool(summary.failure) is failed


def test_a_record_that_the_broker_does_not_take_is_refused_by_line_and_the_rest_goes_on() -> None:
    broker, refused = LateBroker(errors={70: KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)}), list[Refusal]()
    summary = run(sending(broker, refused=refused.append), good(200))
    assert [(one.line.number, str(one.reason)) for one in refused] == [(71, "broker_refused")]
    assert (summary.sent, summary.failure) == (199, "")


def test_a_broker_that_fails_stops_the_run_and_what_it_did_not_confirm_is_told_by_line() -> None:
    errors = {number: KafkaError(KafkaError._MSG_TIMED_OUT) for number in range(100, 10_000)}
    broker, refused = LateBroker(each=100, errors=errors), list[Refusal]()
    summary = run(sending(broker, refused=refused.append), good(10_000))
    assert summary.failure.startswith("query-purchase did not confirm a record")
    assert summary.advice.startswith("Run the same command again.")
    assert (summary.sent, summary.waiting) == (100, 0)
    assert summary.lines < 100 + 3 * LOOK_EVERY
    assert [one.line.number for one in refused] == list(range(101, summary.lines + 1))
    assert {str(one.reason) for one in refused} == {"not_confirmed"}
    assert summary.read_until == f"input:{summary.lines}"


def test_an_interrupt_confirms_what_was_read() -> None:
    def interrupted() -> Iterator[Line]:
        yield from good(100)
        raise KeyboardInterrupt

    summary = run(sending(LateBroker()), interrupted())
    assert (summary.sent, summary.lines, summary.interrupted, summary.read_until) == (100, 100, True, "input:100")


def test_an_input_that_breaks_off_confirms_what_was_read_and_says_so() -> None:
    def broken() -> Iterator[Line]:
        yield from good(100)
        raise CosmoError("The disk is gone.")

    summary = run(sending(LateBroker()), broken())
    assert (summary.sent, summary.failure) == (100, "The disk is gone.")


def test_a_rate_is_kept_by_waiting_for_confirmations() -> None:
    broker = LateBroker()
    summary = run(sending(broker, bucket=TokenBucket(rate_per_s=100)), good(501))
    assert abs(summary.seconds - 5.0) < 0.01
    assert summary.sent == 501


def test_an_input_that_was_quiet_for_hours_is_judged_by_the_time_of_its_lines() -> None:
    clock = Clock()

    def slow() -> Iterator[Line]:
        for number, line in enumerate(
            numbered(text(*(search(event_time=f"2026-03-01T{hour}:45:00Z") for hour in HOURS)))
        ):
            clock.now_s = 50.0 + 3600 * number
            yield line

    def time_of_day() -> datetime:
        return NOW + timedelta(seconds=clock.now_s - 50.0)

    made = sending(LateBroker(clock=clock))
    made.now = time_of_day
    assert run(made, slow()).refused == {}


HOURS = (12, 13, 14, 15)


def test_progress_is_told_a_few_times_a_second_and_at_the_end() -> None:
    told = list[Summary]()
    final = run(sending(LateBroker(), bucket=TokenBucket(rate_per_s=640), progress=told.append), good(1281))
    assert told[-1] == final
    assert len(told) <= 2.0 / REPORT_EVERY_S + 1
    assert len(told) >= 8
    assert all(earlier.sent <= later.sent for earlier, later in pairwise(told))


class FullDisk:
    """Takes ``room`` refusals, and then none."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written = list[Refusal]()

    def __call__(self, refusal: Refusal) -> None:
        if len(self.written) == self.room:
            raise CosmoError("Refusals cannot be written: No space left on device.")
        self.written.append(refusal)


def test_refusals_that_cannot_be_written_stop_the_run_and_are_counted_as_such() -> None:
    disk = FullDisk(2)
    lines = text(*[search(query="")] * 5, *(search(event_id=f"e-{number}") for number in range(100)))
    summary = run(sending(LateBroker(), refused=disk), numbered(lines))
    assert "No space left" in summary.failure
    assert (summary.lines, summary.refused_total, summary.untold, summary.waiting) == (3, 3, 1, 0)


def test_a_full_disk_while_confirmations_come_in_loses_no_confirmation() -> None:
    errors = {number: KafkaError(KafkaError.MSG_SIZE_TOO_LARGE) for number in range(0, 20, 2)}
    summary = run(sending(LateBroker(each=7, errors=errors), refused=FullDisk(3)), good(20))
    assert (summary.lines, summary.sent, summary.refused_total, summary.untold) == (20, 10, 10, 7)
    assert (summary.waiting, "No space left" in summary.failure) == (0, True)


def test_a_second_interrupt_gives_up_what_is_unconfirmed_and_says_of_each_line_that_it_is() -> None:
    def interrupted() -> Iterator[Line]:
        yield from good(50)
        raise KeyboardInterrupt

    refused = list[Refusal]()
    summary = run(sending(LateBroker(patience=10), refused=refused.append), interrupted())
    assert summary.interrupted
    assert (summary.lines, summary.waiting) == (50, 0)
    assert summary.refused == {"not_confirmed": 50 - summary.sent}
    assert len(refused) == 50 - summary.sent > 0


@dataclass(slots=True)
class PressingBroker(LateBroker):
    """Ctrl-C is pressed in the middle of the confirmation of one record."""

    press: Any = None

    def _confirm(self) -> None:
        if self.waiting[0][0] == 20:
            self.press()
        LateBroker._confirm(self)


def test_an_interrupt_within_a_confirmation_is_raised_between_two_lines_and_miscounts_nothing() -> None:
    interrupts = Interrupts()
    summary = run(sending(PressingBroker(press=interrupts.press), interrupts=interrupts), good(1000))
    assert summary.interrupted
    assert LOOK_EVERY <= summary.lines < 1000
    assert (summary.sent, summary.waiting) == (summary.lines, 0)


def test_an_interrupt_ends_the_wait_of_a_slow_rate() -> None:
    interrupts, clock = Interrupts(), Clock()

    class Pressing(LateBroker):
        def poll(self, timeout_s: float = 0.0) -> None:
            LateBroker.poll(self, timeout_s)
            if self.clock.now_s > 60.0:
                interrupts.press()

    slow = sending(Pressing(clock=clock), bucket=TokenBucket(rate_per_s=1e-9), interrupts=interrupts)
    summary = run(slow, good(5))
    assert (summary.interrupted, summary.lines, summary.sent) == (True, 1, 1)
    assert summary.seconds < 20.0


def test_unconfirmed_lines_are_bounded_in_bytes_however_small_their_records_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending_module, "MAX_HELD_BYTES", 100_000)
    broker, most = LateBroker(each=1), 0

    def watched() -> Iterator[Line]:
        nonlocal most
        for line in numbered([one + b" " * 20_000 for one in text(*(search(event_id=f"e-{n}") for n in range(60)))]):
            most = max(most, len(broker.waiting))
            yield Line(line.source, line.number, line.raw, 20_000)

    assert run(sending(broker), watched()).sent == 60
    assert most <= 7


def test_the_last_line_read_is_told_also_when_an_earlier_event_comes_last() -> None:
    lines = numbered(text(ubi_event(query_id="q-9"), *[ubi_event(user_query="tea")] * 3, ubi_query(query_id="q-9")))
    summary = run(sending(LateBroker()), lines, Format.UBI)
    assert (summary.sent, summary.read_until) == (4, "input:5")
