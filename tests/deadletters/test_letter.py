"""A letter gives back exactly the record that died."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.deadletters.letter import REPLAYS_HEADER, split
from cosmo.deadletters.replay import replay_headers
from streams.fetch.handler import Bad, RawRecord
from streams.kafka.dead_letters import PREFIX, DeadLetters
from tests.deadletters.examples import died, letter

NAMES = st.sampled_from(["ce_id", "", PREFIX + "topic", PREFIX + "message", PREFIX + "stacktrace", REPLAYS_HEADER])
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=4)), max_size=6)


class CapturingProducer:
    """Keeps the headers of the last record."""

    headers: Any = ()

    async def enqueue(self, topic: str, value: bytes | None, *, key: bytes | None, headers: Any) -> Any:
        self.headers = headers
        return asyncio.get_running_loop().create_future()


def written(headers: list[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    """The headers of the dead letter that a worker writes for a record with these."""
    producer: Any = CapturingProducer()
    record = RawRecord(7, 1_000, b"k", b"v", tuple(headers))
    asyncio.run(DeadLetters(producer).enqueue("t.intents", 3, Bad(record, "damaged", "é")))
    return list(producer.headers)


@given(HEADERS)
def test_what_the_worker_added_comes_off_and_nothing_else(headers: list[tuple[str, bytes | None]]) -> None:
    """Also when the record had been a dead letter of another system before."""
    original, errors = split(written(headers))
    assert original == headers
    assert errors == {
        "topic": "t.intents",
        "partition": "3",
        "offset": "7",
        "timestamp": "1000",
        "reason": "damaged",
        "message": "é",
    }


def test_headers_in_another_order_are_told_apart_by_their_names() -> None:
    """Kafka Streams writes the same names in its own order, between the record's."""
    given_headers = [(PREFIX + "topic", b"a"), ("ce_id", b"1"), (PREFIX + "offset", b"3")]
    assert split(given_headers) == ([("ce_id", b"1")], {"topic": "a", "offset": "3"})


def test_a_record_that_nobody_marked_is_all_original() -> None:
    assert split([("ce_id", b"1")]) == ([("ce_id", b"1")], {})


def test_a_letter_says_where_it_is_and_where_it_came_from() -> None:
    found = letter(4)
    assert (found.where, found.came_from) == ("t.query-purchase.dlq[0]@4", "t.query-purchase[2]@104")
    assert (found.source, found.source_partition, found.died_at) == ("t.query-purchase", 2, died(4))


@pytest.mark.parametrize("partition", ["", "-1", "two", "²", "1.5"])
def test_a_partition_that_is_none_is_not_believed(partition: str) -> None:
    assert letter(errors={"partition": partition}).source_partition is None
    assert letter(errors={}).source_partition is None


@given(st.lists(st.tuples(st.sampled_from(["ce_id", REPLAYS_HEADER]), st.binary(max_size=3)), max_size=4))
def test_every_replay_counts_one_up_and_keeps_the_other_headers(headers: list[tuple[str, bytes | None]]) -> None:
    first = letter(headers=headers)
    second = letter(headers=replay_headers(first))
    assert second.replays == first.replays + 1
    assert [one for one in second.headers if one[0] == "ce_id"] == [one for one in headers if one[0] == "ce_id"]
    assert [name for name, _ in second.headers].count(REPLAYS_HEADER) == 1
