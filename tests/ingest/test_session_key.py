"""`COSMO_SESSION_KEY`: session ids that were chosen for their hashes count for no more than they are."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from pydantic import SecretStr

from cosmo.runtime.settings import Settings
from schemas.fixed_registry import FixedRegistry
from streams.blocks import TOTALS_HEAD, FactAction, session_hashes
from streams.ingest.facts import DAY_MS, Combined
from streams.ingest.handler import routes
from streams.ingest.shapes import ORDERS, SEARCHES
from streams.state.facts import SESSIONS_KEPT
from streams.state.partition import PartitionState

KEY = "0123456789abcdef"
TODAY = 20_000


def chosen(count: int, among: int) -> list[str]:
    """The session ids with the smallest hashes of those that come without a key, which anybody can look for."""
    names = pl.Series([f"s{number}" for number in range(among)])
    return names.gather(session_hashes(names).arg_sort()[:count]).to_list()


def combined(key: str, topic: str, rows: pl.DataFrame) -> Combined:
    return routes(Settings(session_key=SecretStr(key)), FixedRegistry())[topic].facts(rows)


def searches(sessions: list[str]) -> pl.DataFrame:
    row = {"event_time": TODAY * DAY_MS, "query": "our brand", "action": int(FactAction.PURCHASE)}
    row |= {"product_id": "junk-1", "title": "Junk", "product_type": None, "category": None}
    return pl.DataFrame([row | {"session_id": session} for session in sessions], schema=SEARCHES.rows)


def orders(sessions: list[str]) -> pl.DataFrame:
    items = [{"product_id": f"junk-{one}", "title": "Junk", "product_type": None, "category": None} for one in (1, 2)]
    rows = [{"event_time": TODAY * DAY_MS, "session_id": session, "items": items} for session in sessions]
    return pl.DataFrame(rows, schema=ORDERS.rows)


def counted(found: Combined) -> int:
    """The greatest number of sessions that any pair of the state seems to have."""
    state = PartitionState()
    heads = state.add(found.tables(0, 1))
    pairs = state.pairs_of(heads).select(pl.max_horizontal("purchases", "co_purchases").max())
    return max(int(pairs.item()), state.totals())


@pytest.mark.parametrize(("topic", "rows"), [("query-purchase", searches), ("co-purchase", orders)])
def test_chosen_sessions_pass_for_many_without_a_key_and_for_as_many_as_they_are_with_one(
    topic: str, rows: Callable[[list[str]], pl.DataFrame]
) -> None:
    sessions = chosen(2 * SESSIONS_KEPT, 200_000)
    assert counted(combined("", topic, rows(sessions))) > 100_000
    assert counted(combined(KEY, topic, rows(sessions))) == pytest.approx(len(sessions), rel=0.3)


def test_the_totals_of_the_stream_count_the_same_sessions_as_its_pairs() -> None:
    facts = combined(KEY, "co-purchase", orders(["a", "b"])).facts
    of_totals = facts.filter(pl.col("head") == TOTALS_HEAD)["session"]
    assert set(of_totals) == set(facts["session"]) == set(session_hashes(pl.Series(["a", "b"]), KEY))
