"""The knowledge graph: what a log means, compacted or not, how it is counted, and how it is written down."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.runtime.errors import CosmoError
from features.knowledge import export
from features.knowledge.fold import Latest
from features.knowledge.graph import Graph
from features.knowledge.log import Record
from schemas.records import Intent
from tests.features.examples import BOOTS, NOW, co_buy, intent, intents

RECORDS = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.booleans()), max_size=20).map(
    lambda drawn: [Record(0, offset, key, b"v" if alive else None) for offset, (key, alive) in enumerate(drawn)]
)


def latest(records: list[Record]) -> Latest:
    known = Latest()
    known.add(records)
    return known


@given(RECORDS, st.data())
def test_a_log_means_the_same_before_and_after_compaction(records: list[Record], data: st.DataObject) -> None:
    """Compaction may take out any record that is followed by another of its key, and none that is not."""
    newest = {record.key: record for record in records}
    compacted = [one for one in records if newest[one.key] is one or data.draw(st.booleans())]
    current = list(latest(records).current(records))
    assert list(latest(compacted).current(compacted)) == current
    assert current == [one for one in records if newest[one.key] is one and one.value is not None]


@given(RECORDS)
def test_what_a_tombstone_ends_with_is_retracted(records: list[Record]) -> None:
    newest = {record.key: record for record in records}
    known = latest(records)
    for record in records:
        assert known.retracted(record) == (newest[record.key].value is None)


def counted(*found: Intent) -> Graph:
    graph = Graph()
    graph.add(found)
    return graph


def test_an_edge_counts_once_however_many_pairs_are_evidence_for_it() -> None:
    counts = counted(intent(), intent(pair_id="p-2"), co_buy(BOOTS)).counts()
    assert (counts.edges, counts.evidence) == (2, 3)
    assert counts.nodes == {"QUERY": 1, "PRODUCT": 0, "PRODUCT_PAIR": 1, "TAIL": 1}
    assert counts.edges_by_relation == {"used_for_eve": 2}
    assert counts.edges_by_domain == {"Outdoor": 2}


def test_an_unknown_domain_is_called_unknown() -> None:
    assert counted(intent(products=())).counts().edges_by_domain == {"unknown": 1}


@given(st.lists(intents(), max_size=20), st.randoms())
def test_counts_do_not_depend_on_order_or_repetition(found: list[Intent], random: object) -> None:
    shuffled = random.sample(found, len(found))  # type: ignore[attr-defined]
    assert counted(*shuffled, *found).counts() == counted(*found).counts()


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_an_export_holds_every_intent_with_all_its_fields(tmp_path: Path, suffix: str) -> None:
    written = [intent(specificity=None), co_buy(BOOTS, generated_time=NOW + timedelta(milliseconds=7))]
    path = tmp_path / f"graph.{suffix}"
    with export.opened(path) as sink:
        for one in written:
            sink.write([one])
    assert read(path) == [export.row(one) for one in written]
    assert list(tmp_path.iterdir()) == [path]


def read(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
        return [one | {"scores": dict(one["scores"])} for one in rows]
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    times = ("event_time", "generated_time")
    return [one | {name: parsed(one[name]) for name in times} for one in rows]


def parsed(text: str) -> object:
    return datetime.fromisoformat(text)


def test_an_export_of_nothing_is_a_readable_file(tmp_path: Path) -> None:
    with export.opened(tmp_path / "graph.parquet"):
        pass
    assert pq.read_table(tmp_path / "graph.parquet").num_rows == 0


def test_an_export_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), export.opened(tmp_path / "graph.jsonl"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["graph.csv", "missing/graph.jsonl"])
def test_a_file_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(CosmoError), export.opened(tmp_path / name):
        pass
