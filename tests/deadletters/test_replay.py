"""Replaying: once each, byte for byte, and marked only when the broker has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from cosmo.deadletters import replay as replay_module
from cosmo.deadletters.letter import REPLAYS_HEADER, Letter
from cosmo.deadletters.marks import Marks
from cosmo.deadletters.replay import BATCH, Replay, Replayed, cut
from cosmo.runtime.errors import CosmoError
from streams.kafka.producer import SinkUnconfirmed
from tests.deadletters.examples import letter

TOPIC, MARKS = "t.query-purchase", "t.dlq-replays"


@dataclass(frozen=True, slots=True)
class Sent:
    topic: str
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    partition: int | None


@dataclass(slots=True)
class MemorySender:
    """Confirms everything but the source records numbered in ``failing``, and takes not even those in ``too_large``;
    what it confirms is in ``log``."""

    failing: set[int] = field(default_factory=set)
    too_large: set[int] = field(default_factory=set)
    forgetful: bool = False
    """Confirms no mark."""
    log: list[Sent] = field(default_factory=list)
    _records: int = 0

    async def enqueue(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
    ) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if topic == TOPIC:
            self._records += 1
            if self._records - 1 in self.too_large:
                raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        if (topic == TOPIC and self._records - 1 in self.failing) or (topic == MARKS and self.forgetful):
            future.set_exception(SinkUnconfirmed("no"))
        else:
            self.log.append(Sent(topic, value, key, list(headers), partition))
            future.set_result(None)
        return future

    def to(self, topic: str) -> list[Sent]:
        return [one for one in self.log if one.topic == topic]


class Mark:
    def __init__(self, sent: Sent) -> None:
        self._sent = sent

    def key(self) -> bytes | None:
        return self._sent.key

    def value(self) -> bytes | None:
        return self._sent.value


def replay(marks: Marks | None = None, **changes: Any) -> Replay:
    settings: dict[str, Any] = {
        "marks": marks or Marks(f"{TOPIC}.dlq"),
        "marks_topic": MARKS,
        "source_partitions": 4,
        "max_replays": 5,
        "now": lambda: datetime(2026, 3, 2, tzinfo=UTC),
    }
    return Replay(**(settings | changes))


async def run(made: Replay, letters: Sequence[Letter], sender: MemorySender) -> Replayed:
    done = Replayed(topic=TOPIC)
    await made.run(iter(letters), sender, done)
    return done


def marked(sender: MemorySender) -> Marks:
    found = Marks(f"{TOPIC}.dlq")
    for sent in sender.to(MARKS):
        found.take(Mark(sent))  # type: ignore[arg-type]  # all of a message that is looked at
    return found


@pytest.mark.parametrize(("key", "value"), [(b"k", b"\x00\xff"), (None, None), (b"", b"")])
async def test_a_record_goes_back_as_it_was_with_the_count_of_replays(key: bytes | None, value: bytes | None) -> None:
    sender = MemorySender()
    await run(replay(), [letter(key=key, value=value, headers=[("a", None), ("a", b"2")])], sender)
    (sent,) = sender.to(TOPIC)
    assert sent == Sent(TOPIC, value, key, [("a", None), ("a", b"2"), (REPLAYS_HEADER, b"1")], 2)


async def test_a_partition_that_the_topic_does_not_have_is_chosen_by_key() -> None:
    sender = MemorySender()
    await run(replay(source_partitions=2), [letter(0), letter(1, errors={})], sender)
    assert [sent.partition for sent in sender.to(TOPIC)] == [None, None]


async def test_no_letter_is_replayed_twice_however_often_the_command_is_run() -> None:
    sender = MemorySender()
    letters = [letter(number) for number in range(10)]
    first = await run(replay(), letters[:6], sender)
    second = await run(replay(marked(sender)), letters, sender)
    third = await run(replay(marked(sender)), letters, sender)
    assert [(one.replayed, one.passed_over) for one in (first, second, third)] == [(6, 0), (4, 6), (0, 10)]
    assert len(sender.to(TOPIC)) == 10


async def test_what_came_back_is_a_letter_of_its_own_and_is_said_to_have_come_back() -> None:
    sender = MemorySender()
    first = await run(replay(), [letter(0), letter(1)], sender)
    back = letter(2, headers=[(REPLAYS_HEADER, b"1")])
    second = await run(replay(marked(sender)), [letter(0), letter(1), back], sender)
    assert [(one.replayed, one.returned, one.passed_over) for one in (first, second)] == [(2, 0, 0), (1, 1, 2)]


async def test_a_letter_is_replayed_again_when_it_is_asked_for() -> None:
    sender = MemorySender()
    await run(replay(), [letter()], sender)
    done = await run(replay(marked(sender), again=True), [letter()], sender)
    assert (done.replayed, done.passed_over) == (1, 0)


async def test_a_letter_that_keeps_coming_back_is_left() -> None:
    came_back = letter(headers=[(REPLAYS_HEADER, b"5")])
    done = await run(replay(), [came_back, letter(1)], sender := MemorySender())
    assert (done.replayed, done.parked, len(sender.to(TOPIC))) == (1, 1, 1)


@given(st.sets(st.integers(0, 29), max_size=29), st.integers(1, 30))
async def test_after_any_failure_the_next_run_replays_exactly_what_is_missing(failing: set[int], count: int) -> None:
    letters = [letter(number) for number in range(count)]
    sender = MemorySender(failing=failing)
    failed = sum(number < count for number in failing)
    if failed == count:
        with pytest.raises(CosmoError, match="was not sent"):
            await run(replay(), letters, sender)
    else:
        done = await run(replay(), letters, sender)
        assert (done.replayed, done.failed) == (count - failed, failed)
    sender.failing = set()
    await run(replay(marked(sender)), letters, sender)
    assert len(sender.to(TOPIC)) == count
    assert len(marked(sender).places) == count


async def test_figures_are_right_after_a_failure() -> None:
    done = Replayed(topic=TOPIC)
    letters = [letter(number, reason="a" if number % 2 else "b") for number in range(BATCH + 10)]
    with pytest.raises(CosmoError):
        await replay().run(iter(letters), MemorySender(failing=set(range(BATCH, BATCH + 10))), done)
    assert (done.replayed, done.failed, done.by_reason) == (BATCH, 10, {"b": BATCH // 2, "a": BATCH // 2})


async def test_a_letter_that_cannot_be_sent_does_not_hold_back_the_others() -> None:
    sender = MemorySender(too_large={1})
    done = await run(replay(), [letter(0), letter(1), letter(2)], sender)
    assert (done.replayed, done.failed) == (2, 1)
    assert done.failure.startswith("t.query-purchase.dlq[0]@1 was not sent: ")
    assert not marked(sender).replayed(letter(1))


async def test_what_was_sent_and_could_not_be_remembered_is_said_to_be_sent() -> None:
    done = Replayed(topic=TOPIC)
    sender = MemorySender(failing={1}, forgetful=True)
    with pytest.raises(CosmoError, match="was not sent"):
        await replay().run(iter([letter(0), letter(1), letter(2)]), sender, done)
    assert (done.replayed, done.failed, done.unmarked) == (2, 1, 2)
    assert len(sender.to(TOPIC)) == 2


@pytest.mark.parametrize("broken", ["-1", "9" * 5000, "x", "²"])
async def test_numbers_of_strangers_are_no_numbers_and_stop_nothing(broken: str) -> None:
    strange = letter(headers=[(REPLAYS_HEADER, broken.encode())], errors={"partition": broken})
    assert (strange.replays, strange.source_partition) == (0, None)
    done = await run(replay(), [strange], MemorySender())
    assert done.replayed == 1


@pytest.mark.parametrize("timestamp_ms", [-1, 10**18])
def test_an_instant_of_strangers_is_an_instant(timestamp_ms: int) -> None:
    assert letter(timestamp_ms=timestamp_ms).died_at.year in {1970, 9999}


@given(st.lists(st.integers(0, 100), max_size=60))
def test_batches_hold_every_letter_once_and_are_bounded_in_bytes(sizes: list[int]) -> None:
    letters = [letter(number, key=None, value=bytes(size), headers=[]) for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_module, "BATCH", 7)
        patch.setattr(replay_module, "BATCH_BYTES", 120)
        batches = list(cut(letters))
    assert [one for batch in batches for one in batch] == letters
    for batch in batches:
        assert 1 <= len(batch) <= 7
        assert sum(one.size_bytes for one in batch[:-1]) < 120


async def test_marks_of_letters_that_are_gone_are_taken_back() -> None:
    sender = MemorySender()
    await replay().forget([b"t.query-purchase.dlq[0]@1"], sender)
    assert [(sent.topic, sent.key, sent.value) for sent in sender.log] == [(MARKS, b"t.query-purchase.dlq[0]@1", None)]
