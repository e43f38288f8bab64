"""What every `SegmentStore` must do; the one in memory and the one in Kafka are both held to it."""

from __future__ import annotations

from schemas.records import SampleState
from streams.state.log import SegmentStore


def record(text: bytes) -> SampleState:
    return SampleState(layout=1, table="facts", rows=text)


async def contents(store: SegmentStore, partition: int) -> dict[str, bytes]:
    return {stored.key: stored.record.rows for stored in await store.read(partition)}


class StoreContract:
    """Test methods; a subclass gives the fixture ``store``, with partitions 0 and 1."""

    async def test_what_was_put_is_read_and_only_in_its_partition(self, store: SegmentStore) -> None:
        await store.put(0, "a", record(b"1"))
        await store.put(1, "b", record(b"2"))
        assert await contents(store, 0) == {"a": b"1"}
        assert await contents(store, 1) == {"b": b"2"}

    async def test_what_was_removed_is_not_read(self, store: SegmentStore) -> None:
        await store.put(0, "a", record(b"1"))
        await store.put(0, "b", record(b"2"))
        await store.put(0, "a", None)
        assert await contents(store, 0) == {"b": b"2"}

    async def test_removing_what_is_not_there_changes_nothing(self, store: SegmentStore) -> None:
        await store.put(0, "a", None)
        assert await contents(store, 0) == {}

    async def test_a_segment_of_four_megabytes_comes_back_byte_for_byte(self, store: SegmentStore) -> None:
        large = bytes(range(256)) * 16_384
        await store.put(0, "a", record(large))
        assert await contents(store, 0) == {"a": large}
