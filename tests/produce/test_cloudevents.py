"""Envelopes: attributes become headers, and one that breaks the standard is refused."""

from __future__ import annotations

from typing import Any

import pytest

from cosmo.produce.formats import Format
from cosmo.produce.outcomes import Sendable
from tests.produce.examples import read, refusals, search, sendable, ubi_event, ubi_query


def envelope(**changes: Any) -> dict[str, Any]:
    found = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "shop.search", "data": search()} | changes
    return {name: value for name, value in found.items() if value is not ...}


def test_attributes_become_headers_and_partitionkey_the_key() -> None:
    extra = {"time": "2026-03-01T12:00:00Z", "subject": "é", "datacontenttype": "application/json", "retry": 3}
    (found,) = read(Format.NATIVE, envelope(partitionkey="k", sampled=True, traceparent=None, **extra))
    assert isinstance(found, Sendable)
    assert found.key == b"k"
    assert dict(found.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"1",
        "ce_source": b"/shop",
        "ce_type": b"shop.search",
        "ce_time": b"2026-03-01T12:00:00Z",
        "ce_subject": "é".encode(),
        "ce_retry": b"3",
        "ce_sampled": b"true",
        "ce_partitionkey": b"k",
        "content-type": b"application/avro",
    }


def test_a_line_without_envelope_has_neither_key_nor_headers() -> None:
    (found,) = read(Format.NATIVE, search())
    assert isinstance(found, Sendable)
    assert (found.key, found.headers) == (None, ())


def test_the_event_in_an_envelope_is_read_as_any_other() -> None:
    assert sendable(read(Format.NATIVE, envelope())) == sendable(read(Format.NATIVE, search()))
    assert refusals(read(Format.NATIVE, envelope(data=search(price=1)))) == [
        (1, "unknown_field", "price is no field of the record")
    ]


def test_an_event_that_waits_for_its_query_keeps_its_headers() -> None:
    event, query = envelope(data=ubi_event(), partitionkey="k"), envelope(data=ubi_query())
    found = [outcome for outcome in read(Format.UBI, event, query) if isinstance(outcome, Sendable)]
    assert [(one.key, dict(one.headers)["ce_id"]) for one in found] == [(b"k", b"1")]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another version": (envelope(specversion="0.3"), "specversion is '0.3'"),
    "version as a number": (envelope(specversion=1.0), "specversion is '1.0'"),
    "no id": (envelope(id=...), "id is not there"),
    "empty source": (envelope(source=""), "source is not there, empty"),
    "type as a number": (envelope(type=3), "type is not there, empty, or not a string"),
    "no data": (envelope(data=...), "data is not there"),
    "binary data": (envelope(data=..., data_base64="aGk="), "data_base64 is not read"),
    "an attribute that is an object": (envelope(extra={}), "extra is an object"),
    "a name in capitals": (envelope(Extra="x"), "'Extra' cannot be the name"),
    "half an emoji": (envelope(subject="\ud83d"), "subject holds half"),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_envelope_that_breaks_the_standard_is_refused(kind: str) -> None:
    line, detail = BAD[kind]
    ((_, reason, found),) = refusals(read(Format.NATIVE, line))
    assert reason == "bad_cloud_event"
    assert detail in found


def test_data_that_is_no_object_is_refused() -> None:
    assert refusals(read(Format.NATIVE, envelope(data="text"))) == [
        (1, "wrong_type", "data is a string where an object is wanted")
    ]
    assert refusals(read(Format.UBI, envelope(data="text"))) == [
        (1, "not_an_object", "a string where an object is wanted")
    ]
