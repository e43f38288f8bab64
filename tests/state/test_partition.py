"""The state of a partition: the same whatever happened on the way, and its summaries what the facts say."""

from __future__ import annotations

import gc
import random
from dataclasses import replace

import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.blocks import FACTS, TOTALS_HEAD, FactAction, from_ipc, to_ipc
from streams.blocks import HEADS as HEADS_TABLE
from streams.state.keys import SESSION_BITS, SESSION_SHIFT
from streams.state.partition import PartitionState
from streams.state.summary import COUNTED, SUMMARY
from streams.state.tables import ASKED, type_of
from tests.state.examples import HORIZON, Fact, K, facts, product, session, tables

BLOCKS = st.lists(st.lists(facts(), min_size=1, max_size=25), min_size=1, max_size=6)
HEADS = pl.Series("head", [1, 2, 3], dtype=pl.UInt64)


def state_of(blocks: list[list[Fact]]) -> PartitionState:
    state = PartitionState(sessions_kept=K, horizon_days=HORIZON)
    for block in blocks:
        state.add(tables(block))
    return state


def expected(everything: list[Fact]) -> dict[tuple[int, int], dict[str, int | None]]:
    """The summaries by their definition, from all facts at once, with nothing left out."""
    counted = [fact for fact in everything if fact[3] < FactAction.VOUCHER]
    watermark = max((fact[2] for fact in counted), default=-1)
    alive = [fact for fact in everything if fact[2] > watermark - HORIZON]
    return {pair: _summary([f for f in alive if f[:2] == pair], watermark) for pair in {fact[:2] for fact in alive}}


def _summary(rows: list[Fact], watermark: int) -> dict[str, int | None]:
    newest: dict[tuple[int, int], int] = {}
    for _, _, bucket, action, who in rows:
        newest[action, who] = max(bucket, newest.get((action, who), -1))
    found: dict[str, int | None] = {}
    for name, action in COUNTED.items():
        sessions = {who: bucket for (did, who), bucket in newest.items() if did == action}
        found[name] = _estimate(set(sessions))
        found[f"today_{name}"] = _estimate({who for who, bucket in sessions.items() if bucket == watermark})
    found["last_bucket"] = max((row[2] for row in rows if row[3] < FactAction.VOUCHER), default=-1)
    vouchers = [(-bucket, who >> SESSION_SHIFT) for _, _, bucket, action, who in rows if action == FactAction.VOUCHER]
    found["voucher"] = min(vouchers)[1] if vouchers else None
    return found


def _estimate(sessions: set[int]) -> int:
    if len(sessions) < K:
        return len(sessions)
    kth = sorted(who >> SESSION_SHIFT for who in sessions)[K - 1]
    return max(K, round((K - 1) * (1 << SESSION_BITS) / (kth + 1)))


@settings(max_examples=40, deadline=None)
@given(BLOCKS, st.randoms(use_true_random=False))
def test_any_order_repetition_and_split_give_the_same_state(blocks: list[list[Fact]], chance: random.Random) -> None:
    everything = [fact for block in blocks for fact in block]
    shuffled = everything + chance.choices(everything, k=len(everything) // 2)
    chance.shuffle(shuffled)
    size = chance.randint(1, len(shuffled))
    split = [shuffled[at : at + size] for at in range(0, len(shuffled), size)]
    first, second = state_of(blocks), state_of(split)
    assert first.fingerprint() == second.fingerprint()
    assert first.pairs_of(HEADS).drop("first_bucket").equals(second.pairs_of(HEADS).drop("first_bucket"))


@settings(max_examples=60, deadline=None)
@given(BLOCKS)
def test_summaries_kept_up_to_date_say_what_the_facts_say(blocks: list[list[Fact]]) -> None:
    """Read after every block, so that each summary is the last of many."""
    state = PartitionState(sessions_kept=K, horizon_days=HORIZON)
    seen: list[Fact] = []
    for block in blocks:
        state.add(tables(block))
        seen += block
        found = state.pairs_of(HEADS)
        assert found.schema == SUMMARY
        rows = {(row["head"], row["other"]): row for row in found.iter_rows(named=True)}
        wanted = expected(seen)
        assert rows.keys() == wanted.keys()
        for pair, summary in wanted.items():
            assert {name: rows[pair][name] for name in summary} == summary


@settings(max_examples=40, deadline=None)
@given(BLOCKS)
def test_heads_whose_pairs_change_are_named(blocks: list[list[Fact]]) -> None:
    """Also where nothing was added: an old fact fell out of the horizon, or a product's type changed."""
    state = PartitionState(sessions_kept=K, horizon_days=HORIZON)
    for block in blocks:
        before = {head: judged(state, head) for head in HEADS}
        touched = set(state.add(tables(block)))
        changed = {head for head in HEADS if judged(state, head) != before[head]}
        assert changed <= touched <= set(HEADS)


def judged(state: PartitionState, head: int) -> list[object]:
    """What a rule can see of a head, but for what it knows from the watermark."""
    pairs = state.pairs_of(pl.Series([head], dtype=pl.UInt64))
    types = state.products(pairs["other"]).select("product", type_of())
    return [pairs.drop(pl.selectors.starts_with("today_")).rows(), types.sort("product").rows()]


@settings(max_examples=40, deadline=None)
@given(BLOCKS, st.integers(0, 6))
def test_two_owners_and_one_are_the_same_once_their_deltas_are_merged(blocks: list[list[Fact]], cut: int) -> None:
    """The second takes over at a block that the first has added too, as happens around a rebalance."""
    first, second = state_of(blocks[: cut + 1]), state_of(blocks[cut:])
    loaded = PartitionState(sessions_kept=K, horizon_days=HORIZON)
    for delta in (second.take_delta(), first.take_delta()):
        for table, rows in delta.items():
            loaded.merge_table(table, rows)
    whole = state_of(blocks)
    assert loaded.pairs_of(HEADS).drop("first_bucket").equals(whole.pairs_of(HEADS).drop("first_bucket"))
    assert loaded.fingerprint() == whole.fingerprint()
    assert loaded.take_delta() == {}


@settings(max_examples=40, deadline=None)
@given(BLOCKS)
def test_vouchers_and_what_was_asked_are_not_in_the_fingerprint(blocks: list[list[Fact]]) -> None:
    state = state_of(blocks)
    before = state.fingerprint()
    voucher = pl.DataFrame([(1, 10, 400, int(FactAction.VOUCHER), session(1))], schema=FACTS, orient="row")
    state.add(replace(tables([]), facts=voucher))
    state.ask(pl.DataFrame([(1, 10, 5, 1, 1)], schema=ASKED, orient="row"))
    assert state.fingerprint() == before


@settings(max_examples=40, deadline=None)
@given(BLOCKS)
def test_giving_back_memory_changes_nothing_that_can_be_seen(blocks: list[list[Fact]]) -> None:
    state, tidy = state_of([]), state_of([])
    for block in blocks:
        state.add(tables(block))
        tidy.add(tables(block))
        tidy.drop_expired()
        assert not tidy.has_expired
        assert state.pairs_of(HEADS).equals(tidy.pairs_of(HEADS))
    assert state.fingerprint() == tidy.fingerprint()


def test_one_fact_more_changes_the_fingerprint() -> None:
    block = [(1, 10, 100, int(FactAction.CLICK), session(1))]
    more = [*block, (1, 10, 100, int(FactAction.CLICK), session(2))]
    assert state_of([block]).fingerprint() != state_of([more]).fingerprint()


def test_the_newest_asking_wins_then_the_greatest_level() -> None:
    state = PartitionState()
    for row in [(1, 10, 7, 2, 1), (1, 10, 9, 1, 1), (1, 10, 9, 3, 1), (1, 10, 8, 9, 1)]:
        state.ask(pl.DataFrame([row], schema=ASKED, orient="row"))
    pair = pl.DataFrame({"head": [1, 1], "other": [10, 11]}, schema={"head": pl.UInt64, "other": pl.UInt64})
    assert state.asked(pair).rows() == [(1, 10, 9, 3, 1)]


def test_totals_are_known_and_no_head_to_judge() -> None:
    state = PartitionState()
    block = [(TOTALS_HEAD, TOTALS_HEAD, 100, int(FactAction.CO_PURCHASE), session(who)) for who in range(5)]
    assert len(state.add(tables(block))) == 0
    assert state.totals() == 5
    assert len(state.heads()) == 0


def test_texts_and_products_are_the_newest() -> None:
    state = state_of([[(1, 10, 102, 2, session(1))], [(1, 10, 101, 2, session(2))]])
    assert state.texts(HEADS).rows() == [(1, 1, "q1")]
    assert product(10, 102)[4] is None
    newest = (*product(10, 102)[:4], "type 1", None)
    assert state.products(pl.Series([10, 11], dtype=pl.UInt64)).rows() == [newest]


def test_a_text_that_is_kept_does_not_keep_its_block_in_memory() -> None:
    """Half of a block's heads are news. Views of their texts would keep all of it, also after the state has its own."""
    texts = [f"a query that is too long to be kept within its view, number {number}" for number in range(20_000)]
    block = to_ipc(pl.DataFrame({"head": range(1, 20_001), "kind": 1, "text": texts}, schema=HEADS_TABLE))
    state = state_of([[(1, 10, 100, int(FactAction.CLICK), session(1))]])
    before = pa.total_allocated_bytes()
    news = replace(tables([]), heads=from_ipc(block, HEADS_TABLE).tail(10_000))
    state.add(news)
    del news
    gc.collect()
    assert state.texts(pl.Series([20_000], dtype=pl.UInt64))["text"].to_list() == texts[-1:]
    assert pa.total_allocated_bytes() - before < len(block) // 100
