"""A partition that a sampler has been given is told from one whose state was lost."""

from __future__ import annotations

import pytest

from cosmo.runtime.errors import StopWorker
from streams.blocks import FactAction
from streams.state import begun
from streams.state.log import SegmentLog
from streams.state.partition import PartitionState
from streams.state.segments import Index, decode
from tests.state.examples import session, tables
from tests.state.memory_segments import MemorySegments


async def never() -> None:
    """Nothing was committed."""


async def committed() -> StopWorker:
    return StopWorker("The state is gone.")


def test_the_note_reads_as_a_segment_without_rows() -> None:
    table, rows = decode(begun.note())
    assert (table, rows.height) == ("heads", 0)


async def test_a_first_owner_leaves_a_note_and_the_next_may_find_nothing_else() -> None:
    store = MemorySegments()
    await SegmentLog(store, 0, lost=never).load()
    state = await SegmentLog(store, 0, lost=committed).load()
    assert state.fingerprint() == PartitionState().fingerprint()
    assert (list(store.live), store.puts) == ([(0, begun.KEY)], 1)


async def test_where_blocks_were_committed_and_nothing_is_stored_the_load_stops_and_writes_nothing() -> None:
    store = MemorySegments()
    with pytest.raises(StopWorker, match="gone"):
        await SegmentLog(store, 0, lost=committed).load()
    assert store.puts == 0


async def test_a_note_that_comes_while_the_commits_are_asked_for_is_seen() -> None:
    """The owner before wrote it, and committed, after this one had begun to read."""
    store = MemorySegments()

    async def slowly() -> StopWorker:
        await store.put(0, begun.KEY, begun.note())
        return await committed()

    await SegmentLog(store, 0, lost=slowly).load()


async def test_a_state_of_which_everything_has_expired_is_not_lost() -> None:
    """Its tables are written anew, as nothing; the note is in none of the segments that this removes."""
    store = MemorySegments()
    log = SegmentLog(store, 0, index=Index(fan_in=2, garbage_rows=0), lost=never)
    state = await log.load()
    for number in range(8):
        state.add(tables([(1, 10, 100, int(FactAction.CLICK), session(number))]))
        await log.flush(state)
        await log.tidied()
    log.take(PartitionState())
    await log.write()
    await log.tidied()
    assert (0, begun.KEY) in store.live
    await SegmentLog(store, 0, lost=committed).load()
