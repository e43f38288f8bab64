"""What a letter would become now, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import pytest

from cosmo.deadletters.documents import as_document, hex_rows, plain, printable, visible
from cosmo.deadletters.examine import Verdict, examine, examiner, outlook
from schemas.avsc import AvroSchema
from schemas.codec import Codec
from schemas.errors import RegistryUnreachable
from schemas.fixed_registry import FixedRegistry
from schemas.framing import id_frame
from schemas.records import PairCounts, QueryPurchase
from tests.deadletters.examples import letter
from tests.schemas.examples import NOW, QUERY_PURCHASE

REGISTRY = FixedRegistry()
CODEC = Codec("query-purchase", QueryPurchase, REGISTRY)


class SilentRegistry(FixedRegistry):
    def schema_by_id(self, schema_id: int) -> AvroSchema:
        raise RegistryUnreachable("The registry does not answer.")

    def schema_by_guid(self, guid: UUID) -> AvroSchema:
        raise RegistryUnreachable("The registry does not answer.")


def test_a_letter_whose_cause_is_mended_would_be_accepted() -> None:
    found = examine(letter(value=CODEC.encode(QUERY_PURCHASE)), "query-purchase", REGISTRY, NOW)
    assert found.verdict is Verdict.ACCEPTED
    assert found.fields is not None
    assert found.fields["query"] == QUERY_PURCHASE.query


def test_a_letter_that_breaks_a_rule_is_decoded_and_says_which() -> None:
    value = CODEC.encode(replace(QUERY_PURCHASE, query=" "))
    found = examine(letter(value=value), "query-purchase", REGISTRY, NOW)
    assert (found.verdict, found.detail) == (Verdict.REFUSED, "empty_query: query is empty")
    assert found.fields is not None


@pytest.mark.parametrize(
    ("value", "detail"), [(None, "null_value"), (b"hello", "wrong_magic"), (id_frame(77) + b"x", "unknown_schema")]
)
def test_a_letter_that_cannot_be_read_says_why(value: bytes | None, detail: str) -> None:
    found = examine(letter(value=value), "query-purchase", REGISTRY, NOW)
    assert (found.verdict, found.fields) == (Verdict.REFUSED, None)
    assert found.detail.startswith(detail)


def test_a_registry_that_is_silent_says_nothing_about_the_letter() -> None:
    found = examine(letter(value=CODEC.encode(QUERY_PURCHASE)), "query-purchase", SilentRegistry(), NOW)
    assert (found.verdict, found.detail) == (Verdict.UNKNOWN, "The registry does not answer.")


def test_what_only_its_worker_can_judge_is_readable() -> None:
    block = PairCounts(
        source_topic="t",
        source_partition=0,
        first_offset=0,
        last_offset=1,
        layout=1,
        facts=b"xx",
        heads=b"",
        products=b"",
    )
    value = Codec("pair-counts", PairCounts, REGISTRY).encode(block)
    found = examine(letter(value=value, topic="t.pair-counts.dlq"), "pair-counts", REGISTRY, NOW)
    assert found.verdict is Verdict.READABLE
    assert plain(found.fields)["facts"] == "<2 bytes>"


def test_the_document_holds_every_byte_and_is_json() -> None:
    one = letter(key=None, value=bytes(range(256)) * 10, headers=[("a", None), ("b", b"\xff")])
    document = as_document(one, examine(one, "query-purchase", REGISTRY, NOW))
    again = json.loads(json.dumps(document))
    assert bytes.fromhex(again["value_hex"]) == one.value
    assert again["key_hex"] is None
    assert again["headers"] == [["a", None], ["b", "ff"]]
    assert again["now"]["verdict"] == "refused"


def test_bytes_are_shown_in_rows_and_the_rest_is_counted() -> None:
    assert hex_rows(b"hello\x00") == ["000000  68 65 6c 6c 6f 00" + " " * 32 + "hello."]
    assert hex_rows(bytes(1256))[-1] == "… 1,000 bytes more; --json has them all"
    assert (hex_rows(None), hex_rows(b"")) == (["null"], ["0 bytes"])


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "null"), ("é".encode(), "é"), (b"\xff\x00", "0xff00"), (b"a\x1b[2J", "0x611b5b324a")]
)
def test_keys_and_headers_are_text_where_they_are(value: bytes | None, shown: str) -> None:
    assert printable(value) == shown


def test_a_stranger_s_text_cannot_command_the_terminal() -> None:
    assert visible("wipe\x1b[2J\x9b1mé") == "wipe\\x1b[2J\\x9b1mé"


def test_numbers_that_json_does_not_have_are_shown_by_their_name() -> None:
    shown = plain({"scores": {"a": float("nan"), "b": float("inf"), "c": 0.5}})
    assert shown == {"scores": {"a": "nan", "b": "inf", "c": 0.5}}
    json.dumps(shown, allow_nan=False)


class CountingRegistry(SilentRegistry):
    asked = 0

    def schema_by_id(self, schema_id: int) -> AvroSchema:
        self.asked += 1
        return super().schema_by_id(schema_id)


def test_an_outlook_gives_each_letter_its_verdict_and_asks_a_silent_registry_only_once() -> None:
    registry = CountingRegistry()
    look = examiner("query-purchase", registry)
    letters = [letter(0), *(letter(n, value=id_frame(70 + n) + b"x") for n in (1, 2, 3))]
    found = list(outlook(letters, lambda one: look(one, NOW)))
    assert [one.offset for one, _ in found] == [0, 1, 2, 3]
    assert [examined.verdict for _, examined in found] == [Verdict.REFUSED, *[Verdict.UNKNOWN] * 3]
    assert registry.asked == 1
