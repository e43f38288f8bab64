"""UBI logs as they are met in the field: joined, mapped, or refused by line."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.produce.formats import Format, outcomes
from cosmo.produce.lines import numbered
from cosmo.produce.ubi.actions import NAMES, Actions, canonical
from cosmo.runtime.errors import CosmoError
from schemas.records import Action, Product
from tests.produce.examples import AT, passed, product, read, refusals, sendable, text, ubi_event, ubi_query


def test_an_event_is_joined_to_its_query() -> None:
    (found,) = sendable(read(Format.UBI, ubi_query(), ubi_event()))
    assert (found.query, found.session_id, found.action) == ("umbrella for storms", "s-1", Action.CLICK)
    assert (found.product.product_id, found.product.title) == ("B01", "Windproof umbrella")
    assert found.event_time == datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)


def test_an_event_is_joined_to_a_query_that_comes_after_it() -> None:
    found = read(Format.UBI, ubi_event(), ubi_query())
    assert [outcome.line.number for outcome in found] == [2, 1]
    assert [one.query for one in sendable(found)] == ["umbrella for storms"]


@given(st.integers(0, 2**32))
def test_order_changes_nothing_but_the_order(seed: int) -> None:
    queries = [ubi_query(query_id=f"q-{n}", user_query=f"umbrella {n}") for n in range(4)]
    events = [ubi_event(query_id=f"q-{n % 6}", object={"object_id": f"B{n}"}) for n in range(12)]
    lines = [*queries, *events]
    wanted = {one.event_id: one for one in sendable(read(Format.UBI, *lines))}
    assert len(wanted) == 8
    random.Random(seed).shuffle(lines)
    found = read(Format.UBI, *lines)
    assert {one.event_id: one for one in sendable(found)} == wanted
    assert [reason for _, reason, _ in refusals(found)] == ["query_not_found"] * 4
    assert len(found) == len(lines)


def test_queries_and_events_may_lie_in_separate_files() -> None:
    lines = [*numbered(text(ubi_event()), "events"), *numbered(text(ubi_query()), "queries")]
    found = list(outcomes(lines, topic="query-purchase", form=Format.UBI))
    assert [(outcome.line.source, outcome.line.number) for outcome in found] == [("queries", 1), ("events", 1)]


def test_the_same_event_has_the_same_id_wherever_it_is_met_and_another_has_another() -> None:
    (first,), (again,) = (sendable(read(Format.UBI, ubi_query(), ubi_event(application=a))) for a in ("web", "app"))
    assert first.event_id == again.event_id
    others = [
        ubi_event(action_name="purchase"),
        ubi_event(object={"object_id": "B02"}),
        ubi_event(session_id="s-2"),
        ubi_event(timestamp="2026-03-01T12:00:00.251Z"),
        ubi_event(user_query="x", query_id="q-2"),
    ]
    assert len({one.event_id for one in sendable(read(Format.UBI, ubi_query(), ubi_event(), *others))}) == 6


ACCEPTED: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "the event's own query": ([ubi_event(query_id=None, user_query="rain coat")], {"query": "rain coat"}),
    "its own query before the joined one": (
        [ubi_query(), ubi_event(user_query="rain coat")], {"query": "rain coat"},
    ),
    "a search logged as an event": (
        [ubi_event(action_name="on_search", message="rain coat", event_attributes=None), ubi_event()],
        {"query": "rain coat"},
    ),
    "the session where older logs have it": (
        [ubi_query(), ubi_event(session_id=None, event_attributes={
            "session_id": "s-9", "object": {"object_id": "B01", "title": "t"}})],
        {"session_id": "s-9"},
    ),
    "the client for the session": ([ubi_query(), ubi_event(session_id=None, client_id="c-2")], {"session_id": "c-2"}),
    "the query's client for the session": (
        [ubi_query(), ubi_event(session_id=None, client_id=None)], {"session_id": "c-1"},
    ),
    "the query's client, though the event has its query": (
        [ubi_event(session_id="", client_id=None, user_query="rain coat"), ubi_query()],
        {"session_id": "c-1", "query": "rain coat"},
    ),
    "camel case, as older clients write": (
        [{"queryId": "q-1", "userQuery": "rain coat", "clientId": "c-1"}, ubi_event()], {"query": "rain coat"},
    ),
    "the event in camel case": (
        [ubi_query(), {"actionName": "purchase", "queryId": "q-1", "timestamp": AT, "eventAttributes": {
            "sessionId": "s-9", "object": {"objectId": "B02", "productTitle": "Boots"}}}],
        {"session_id": "s-9", "action": Action.PURCHASE, "product": Product(product_id="B02", title="Boots")},
    ),
    "attributes in camel case where the others are null": (
        [ubi_query(), b'{"action_name": "click", "query_id": "q-1", "timestamp": 1772366400250,'
                      b' "event_attributes": null, "eventAttributes": {"object": {"object_id": "B01", "title": "t"}}}'],
        {"action": Action.CLICK},
    ),
    "milliseconds": ([ubi_query(), ubi_event(timestamp=1772366400250)], {}),
    "no time zone, which OpenSearch takes for UTC": (
        [ubi_query(), ubi_event(timestamp="2026-03-01T12:00:00.250")],
        {"event_time": datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)},
    ),
    "a position with index": (
        [ubi_query(), ubi_event(event_attributes={
            "position": {"index": 0}, "object": {"object_id": "B01", "title": "t"}})], {},
    ),
    "fields that UBI lets everybody add": ([ubi_query(), ubi_event(browser="Firefox", page_id="/x")], {}),
    "query_response_hit_ids": ([ubi_query(query_response_hit_ids=["1", "2"]), ubi_event()], {}),
    "the same query twice": ([ubi_query(), ubi_query(query_attributes={"page": 2}), ubi_event()], {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", ACCEPTED)
def test_what_real_logs_hold_is_read(kind: str) -> None:
    lines, wanted = ACCEPTED[kind]
    found = read(Format.UBI, *lines)
    assert refusals(found) == []
    (record,) = sendable(found)
    assert {name: getattr(record, name) for name in wanted} == wanted


SHOWN: dict[str, tuple[dict[str, Any], tuple[str, str, str | None, str | None]]] = {
    "title": ({}, ("B01", "Windproof umbrella", None, None)),
    "name": ({"title": None, "name": "Umbrella"}, ("B01", "Umbrella", None, None)),
    "description, as OpenSearch's client writes": (
        {"title": None, "description": "Umbrella"}, ("B01", "Umbrella", None, None),
    ),
    "object_detail": (
        {"title": " ", "object_detail": {"name": "Umbrella", "product_type": "umbrella", "category": "Rain"}},
        ("B01", "Umbrella", "umbrella", "Rain"),
    ),
    "objectDetail": (
        {"title": None, "objectDetail": {"productName": "Umbrella", "productType": "umbrella"}},
        ("B01", "Umbrella", "umbrella", None),
    ),
    "object_detail before the description": (
        {"title": None, "description": "Red.", "object_detail": {"title": "Umbrella"}},
        ("B01", "Umbrella", None, None),
    ),
    "object_detail as text": ({"object_detail": "blue"}, ("B01", "Windproof umbrella", None, None)),
    "a number as id, which UBI allows": ({"object_id": 4711}, ("4711", "Windproof umbrella", None, None)),
    "type and category": (
        {"product_type": "umbrella", "category": "Rain"}, ("B01", "Windproof umbrella", "umbrella", "Rain"),
    ),
    "object_id_type": ({"object_id_type": "product"}, ("B01", "Windproof umbrella", None, None)),
    "object_id_type of one's own": ({"object_id_type": "ean"}, ("B01", "Windproof umbrella", None, None)),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHOWN)
def test_the_product_is_found_where_clients_write_it(kind: str) -> None:
    changes, wanted = SHOWN[kind]
    (found,) = sendable(read(Format.UBI, ubi_query(), ubi_event(object=changes)))
    shown = found.product
    assert (shown.product_id, shown.title, shown.product_type, shown.category) == wanted


REFUSED: dict[str, tuple[Any, str, str]] = {
    "neither query nor event": ({"query_id": "q-1"}, "neither_query_nor_event", "neither action_name nor user_query"),
    "no JSON": (b"GET /", "not_json", "column 1"),
    "a list": ([ubi_event()], "not_an_object", "a list"),
    "empty action": (ubi_event(action_name=""), "missing_field", "action_name is not there"),
    "null action": (b'{"action_name": null, "user_query": "x"}', "missing_field", "action_name is not there"),
    "action as a number": (ubi_event(action_name=3), "wrong_type", "action_name is a number"),
    "unknown action": (ubi_event(action_name="product_hover"), "unknown_action", "'product_hover' is not known"),
    "the opposite of an action": (ubi_event(action_name="remove_from_cart"), "unknown_action", "remove_from_cart"),
    "page_exit of the specification": (ubi_event(action_name="page_exit"), "unknown_action", "page_exit"),
    "watch": (ubi_event(action_name="watch"), "unknown_action", "watch"),
    "no attributes": (ubi_event(event_attributes=None), "missing_field", "event_attributes.object.object_id"),
    "attributes as text": (ubi_event(event_attributes="{}"), "wrong_type", "event_attributes is a string"),
    "attributes as a list": (ubi_event(event_attributes=[]), "wrong_type", "event_attributes is a list"),
    "object as text": (ubi_event(event_attributes={"object": "B01"}), "wrong_type", "event_attributes.object is"),
    "no object id": (ubi_event(object={"object_id": None}), "missing_field", "event_attributes.object.object_id"),
    "empty object id": (ubi_event(object={"object_id": " "}), "missing_field", "event_attributes.object.object_id"),
    "a boolean as object id": (ubi_event(object={"object_id": True}), "wrong_type", "object.object_id is a boolean"),
    "a float as object id": (ubi_event(object={"object_id": 1.5}), "wrong_type", "object.object_id is a number"),
    "a list as object id": (ubi_event(object={"object_id": ["B01"]}), "wrong_type", "object.object_id is a list"),
    "internal id only": (
        ubi_event(object={"object_id": None, "internal_id": "1"}), "missing_field", "event_attributes.object.object_id",
    ),
    "no title": (ubi_event(object={"title": None}), "no_title", "give the products with --products"),
    "title as a number": (ubi_event(object={"title": 3}), "wrong_type", "event_attributes.object.title is a number"),
    "a post": (ubi_event(object={"object_id_type": "post"}), "not_a_product", "'post'"),
    "a post, in camel case": (ubi_event(object={"objectIdType": "post"}), "not_a_product", "objectIdType is 'post'"),
    "attributes in camel case as text": (
        ubi_event(event_attributes=None, eventAttributes="{}"), "wrong_type", "eventAttributes is a string",
    ),
    "no timestamp": (ubi_event(timestamp=None), "missing_field", "timestamp is not there"),
    "bad timestamp": (ubi_event(timestamp="yesterday"), "bad_time", "timestamp is not ISO 8601"),
    "seconds with a fraction": (ubi_event(timestamp=1772366400.25), "wrong_type", "timestamp is a number"),
    "query_id as a number": (ubi_event(query_id=7), "wrong_type", "query_id is a number"),
    "session as an object": (ubi_event(session_id={}), "wrong_type", "session_id is an object"),
    "query that is nowhere": (ubi_event(query_id="q-0"), "query_not_found", "no line has the query 'q-0'"),
    "neither query_id nor query": (
        ubi_event(query_id=None), "query_not_found", "neither query_id nor user_query is there",
    ),
    "no session and no client": (
        ubi_event(session_id=None, client_id=None, query_id=None, user_query="x"),
        "missing_field", "neither session_id",
    ),
    "query without id": (ubi_query(query_id=None), "missing_field", "query_id is not there"),
    "query text as a number": (ubi_query(user_query=3), "wrong_type", "user_query is a number"),
    "another query of the same id": (ubi_query(user_query="rain coat"), "conflicting_query", "'q-1' was another"),
    "a search event without id": (
        ubi_event(action_name="search", query_id=None, message="x"), "missing_field", "query_id is not there",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_each_kind_of_bad_line_has_its_reason_and_its_neighbours_go_through(kind: str) -> None:
    line, reason, detail = REFUSED[kind]
    found = read(Format.UBI, ubi_query(), line, ubi_event())
    ((number, found_reason, found_detail),) = refusals(found)
    assert (number, found_reason) == (2, reason)
    assert detail in found_detail
    assert len(sendable(found)) == 1


def test_browsing_without_words_is_a_query_whose_events_are_refused_by_the_rule_on_queries() -> None:
    found = read(Format.UBI, ubi_query(user_query=""), ubi_event())
    assert passed(found) == [(1, "query")]
    assert [one.query for one in sendable(found)] == [""]


def test_titles_come_from_the_catalogue_where_the_event_has_none() -> None:
    products = [product(attributes={"colour": "red"}, category="Rain"), product(product_id="B02", title="Boots")]
    bare, own = ubi_event(object={"title": None}), ubi_event(object={"title": "Seen"}, action_name="purchase")
    found = read(Format.UBI, bare, ubi_query(), own, products=products)
    assert {one.product.title for one in sendable(found)} == {"Windproof umbrella", "Seen"}
    assert {one.product.category for one in sendable(found)} == {"Rain"}
    assert passed(found)[:2] == [(1, "product"), (2, "product")]


def test_a_bad_line_of_the_catalogue_is_refused_like_any_other() -> None:
    found = read(Format.UBI, ubi_query(), ubi_event(object={"title": None}), products=[product(title=3), b"", b"{"])
    assert [(reason, detail.split(";")[0]) for _, reason, detail in refusals(found)] == [
        ("wrong_type", "title is a number where a string is wanted"),
        ("not_json", "Expecting property name enclosed in double quotes at column 2"),
        ("no_title", "event_attributes.object.title is not there"),
    ]


def test_half_an_emoji_in_a_query_id_is_joined_all_the_same() -> None:
    """The rules on values refuse what is sent; the join must not fail on what it only compares."""
    found = read(Format.UBI, ubi_event(query_id="\ud83d"), ubi_query(query_id="\ud83d"))
    assert len(sendable(found)) == 1


NAMED = [(name, meaning) for meaning, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("name", "meaning"), NAMED)
def test_every_name_of_an_action_has_one_meaning(name: str, meaning: str) -> None:
    assert canonical(name) == name
    assert Actions().of(name) == meaning
    assert [one for one, _ in NAMED].count(name) == 1


@pytest.mark.parametrize("name", ["addToCart", "Add To Cart", "add-to-cart", " ADD_TO_CART ", "add.to.cart"])
def test_spelling_does_not_matter(name: str) -> None:
    assert Actions().of(name) is Action.ADD_TO_CART


def test_a_shop_says_what_its_own_names_mean() -> None:
    actions = Actions.parse(["productHover=skip", "view=click", "Quick Buy=PURCHASE"])
    lines = [ubi_event(action_name=name) for name in ("product_hover", "view", "quick-buy")]
    found = read(Format.UBI, ubi_query(), *lines, actions=actions)
    assert passed(found) == [(1, "query"), (2, "skipped")]
    assert [one.action for one in sendable(found)] == [Action.CLICK, Action.PURCHASE]


@pytest.mark.parametrize("pair", ["hover", "hover=", "=click", "hover=look", "hover=unknown"])
def test_a_pair_that_says_nothing_is_told(pair: str) -> None:
    with pytest.raises(CosmoError, match="NAME=ACTION"):
        Actions.parse([pair])


def test_ubi_has_no_orders() -> None:
    with pytest.raises(CosmoError, match="no orders"):
        read(Format.UBI, topic="co-purchase")


def test_a_query_that_was_logged_twice_keeps_the_client_that_only_one_of_them_has() -> None:
    without = ubi_event(session_id=None, client_id=None)
    for queries in ((ubi_query(client_id=None), ubi_query()), (ubi_query(), ubi_query(client_id=None))):
        found = read(Format.UBI, *queries, without)
        assert refusals(found) == []
        assert [event.session_id for event in sendable(found)] == ["c-1"]
