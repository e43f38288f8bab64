"""OpenSearch's bulk form: which line belongs to which, and what is left over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.produce.formats import Format
from cosmo.produce.outcomes import Refusal
from tests.produce.examples import passed, read, refusals, sendable, text, ubi_event, ubi_query


def action(index: str | None = "ubi_events", verb: str = "index", **more: Any) -> dict[str, Any]:
    return {verb: ({} if index is None else {"_index": index}) | more}


QUERY = (action("ubi_queries"), ubi_query())


def test_documents_are_read_by_their_index_and_their_id_names_the_event() -> None:
    found = read(Format.OPENSEARCH_UBI, *QUERY, action(_id="doc-1"), ubi_event())
    assert [one.event_id for one in sendable(found)] == ["doc-1"]
    assert passed(found) == [(1, "action_line"), (2, "query"), (3, "action_line")]


@pytest.mark.parametrize("index", ["ubi_events", "shop-ubi-events-2026.03", ".UBI_EVENTS", None])
@pytest.mark.parametrize("verb", ["index", "create"])
def test_an_index_of_events_is_known_by_its_name_or_its_documents(index: str | None, verb: str) -> None:
    assert len(sendable(read(Format.OPENSEARCH_UBI, *QUERY, action(index, verb), ubi_event()))) == 1


def test_hits_of_an_export_are_read_too() -> None:
    hits = [
        {"_index": "ubi_events", "_id": "doc-1", "_score": 1.0, "_source": ubi_event()},
        {"_index": "ubi_queries", "_id": "doc-2", "_source": ubi_query()},
    ]
    assert [one.event_id for one in sendable(read(Format.OPENSEARCH_UBI, *hits))] == ["doc-1"]


def test_a_blank_line_may_stand_anywhere() -> None:
    found = read(Format.OPENSEARCH_UBI, *QUERY, b"", action(), b" ", ubi_event(), b"")
    assert len(sendable(found)) == 1


REFUSED: dict[str, tuple[list[Any], int, str, str]] = {
    "no document": ([action()], 3, "no_document", "no document follows this index"),
    "document without action": ([ubi_event()], 3, "no_action_line", "neither an action line"),
    "delete": ([action(verb="delete")], 3, "not_an_insert", "delete has nothing to send"),
    "update": ([action(verb="update"), {"doc": ubi_event()}], 4, "not_an_insert", "update changes"),
    "another index": ([action("ecommerce"), {"price": 3}], 4, "other_index", "'ecommerce' is neither"),
    "index as a number": ([action(3), ubi_event()], 4, "wrong_type", "_index is a number"),  # type: ignore[arg-type]
    "a broken document": ([action(), b'{"action_name"'], 4, "not_json", "column"),
    "an event among the queries": ([action("ubi_queries"), ubi_event()], 4, "missing_field", "user_query is not there"),
    "a query among the events": ([action(), ubi_query()], 4, "missing_field", "action_name is not there"),
    "a source that is no object": (
        [{"_index": "ubi_events", "_source": [1]}], 3, "not_an_object", "a list where an object is wanted",
    ),
    "text between": ([b"# exported by hand"], 3, "not_json", "column 1"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_each_kind_of_bad_line_has_its_reason_and_what_follows_goes_through(kind: str) -> None:
    lines, wanted_number, reason, detail = REFUSED[kind]
    found = read(Format.OPENSEARCH_UBI, *QUERY, *lines, action(), ubi_event())
    ((number, found_reason, found_detail),) = refusals(found)
    assert (number, found_reason) == (wanted_number, reason)
    assert detail in found_detail
    assert len(sendable(found)) == 1


def test_an_action_line_at_the_end_lacks_its_document() -> None:
    assert refusals(read(Format.OPENSEARCH_UBI, *QUERY, action())) == [
        (3, "no_document", "no document follows this index")
    ]


def test_a_refusal_holds_both_lines_so_that_it_can_be_sent_again() -> None:
    lines = text(action(), ubi_event(timestamp=None))
    (refusal,) = [one for one in read(Format.OPENSEARCH_UBI, *lines) if isinstance(one, Refusal)]
    assert refusal.line.raw.split(b"\n") == lines


LINES = st.sampled_from([*text(action(), *QUERY, ubi_event(), action(verb="delete"), action("x")), b"", b"{"])


@given(st.lists(LINES, max_size=12))
def test_every_line_has_exactly_one_outcome_in_any_disorder(lines: list[bytes]) -> None:
    found = read(Format.OPENSEARCH_UBI, *lines)
    assert sorted(outcome.line.number for outcome in found) == list(range(1, len(lines) + 1))
