"""Which letters are meant, how they are counted, and which were replayed already."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.deadletters import marks
from cosmo.deadletters.count import count
from cosmo.deadletters.letter import Letter
from cosmo.deadletters.marks import Marks
from cosmo.deadletters.reader import ALL, Wanted
from cosmo.deadletters.topics import SOURCES, source_name
from cosmo.runtime.errors import CosmoError
from tests.deadletters.examples import died, letter

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LETTERS = [
    letter(0),
    letter(1, reason="no_title"),
    letter(2),
    letter(3, partition=1),
    letter(4, topic="t.intents.dlq"),
    letter(5, errors={}),
]

CHOSEN: dict[str, tuple[Wanted, list[int]]] = {
    "all": (ALL, [0, 1, 2, 3, 4, 5]),
    "one reason": (Wanted(reasons=frozenset({"no_title"})), [1]),
    "two reasons": (Wanted(reasons=frozenset({"no_title", "wrong_magic"})), [0, 1, 2, 3, 4]),
    "a partition": (Wanted(partition=1), [3]),
    "from an offset": (Wanted(first_offset=2), [2, 3, 4, 5]),
    "to an offset, included": (Wanted(last_offset=2), [0, 1, 2]),
    "all at once": (Wanted(reasons=frozenset({"wrong_magic"}), partition=0, first_offset=1, last_offset=3), [2]),
}


@pytest.mark.parametrize("kind", CHOSEN)
def test_a_letter_is_wanted_when_every_condition_holds(kind: str) -> None:
    wanted, offsets = CHOSEN[kind]
    assert [one.offset for one in LETTERS if wanted.holds(one)] == offsets
    assert wanted.everything is (kind == "all")


def test_letters_are_counted_by_topic_and_reason_with_the_newest_as_example() -> None:
    found = count((one, one.offset == 2) for one in LETTERS)
    assert [(one.topic, one.reason, one.letters, one.replayed, one.example) for one in found] == [
        ("t.query-purchase", "wrong_magic", 3, 1, "t.query-purchase.dlq[1]@3"),
        ("t.query-purchase", "", 1, 0, "t.query-purchase.dlq[0]@5"),
        ("t.query-purchase", "no_title", 1, 0, "t.query-purchase.dlq[0]@1"),
        ("t.intents", "wrong_magic", 1, 0, "t.intents.dlq[0]@4"),
    ]
    assert (found[0].oldest, found[0].newest, found[0].detail) == (died(0), died(3), "detail 3")


@given(st.permutations(LETTERS))
def test_the_order_of_reading_changes_no_figure(letters: list[Letter]) -> None:
    def figures(given_letters: list[Letter]) -> Any:
        found = count((one, False) for one in given_letters)
        return sorted((one.topic, one.reason, one.letters, one.oldest, one.newest, one.example) for one in found)

    assert figures(letters) == figures(LETTERS)


@pytest.mark.parametrize(
    "given_name", ["query-purchase", "query-purchase.dlq", "t.query-purchase", "t.query-purchase.dlq"]
)
def test_a_topic_may_be_named_with_or_without_prefix_and_suffix(given_name: str) -> None:
    assert source_name(given_name, "t.") == "query-purchase"


@pytest.mark.parametrize("given_name", ["intents", "u.query-purchase", "", ".dlq", "dlq-replays"])
def test_a_topic_without_dead_letters_is_told(given_name: str) -> None:
    with pytest.raises(CosmoError, match="has no dead letters"):
        source_name(given_name, "t.")
    assert given_name not in SOURCES


class Record:
    """A record of ``dlq-replays`` as the client hands it over."""

    def __init__(self, key: bytes | None, value: bytes | None = b"{}") -> None:
        self._key, self._value = key, value

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value


def loaded(topic: str, *records: Any) -> Marks:
    found = Marks(topic)
    for record in records:
        found.take(record)
    return found


def test_a_mark_is_of_one_letter_only() -> None:
    one = letter(7, partition=3)
    found = loaded(one.topic, Record(marks.key(one.topic, 3, 7)), Record(marks.key("t.intents.dlq", 3, 8)))
    assert found.replayed(one)
    assert not found.replayed(letter(8, partition=3))
    assert not found.replayed(letter(7, partition=2))


@pytest.mark.parametrize(
    "key", [None, b"", b"hello", b"t.query-purchase.dlq[0]", b"t.query-purchase.dlq[x]@1", b"\xff"]
)
def test_what_is_no_mark_is_left_alone(key: bytes | None) -> None:
    assert loaded("t.query-purchase.dlq", Record(key)).places == {}


def test_a_tombstone_takes_a_mark_back() -> None:
    one = letter(7)
    key = marks.key(one.topic, one.partition, one.offset)
    assert not loaded(one.topic, Record(key), Record(key, None)).replayed(one)


def test_marks_expire_with_their_letters() -> None:
    found = Marks("t.query-purchase.dlq", dict.fromkeys([(0, 4), (0, 5), (1, 4), (1, 9), (2, 0)]))
    gone = [b"t.query-purchase.dlq[0]@4", b"t.query-purchase.dlq[1]@9", b"t.query-purchase.dlq[2]@0"]
    assert found.expired({0: (5, 9), 1: (0, 9)}) == gone


def test_a_letter_in_the_place_of_one_of_a_topic_that_was_made_anew_was_not_replayed() -> None:
    """Offsets begin again with a new topic, and its first letters would be passed over, for ever and in silence."""
    old = letter(7)
    key = marks.key(old.topic, old.partition, old.offset)
    found = loaded(old.topic, Record(key, marks.value(old, NOON)))
    assert found.replayed(old)
    assert not found.replayed(replace(old, timestamp_ms=old.timestamp_ms + 1))


@pytest.mark.parametrize("value", [b"{}", b"", b"[]", b"\xff", b'{"died_ms": "x"}'])
def test_a_mark_that_does_not_say_when_its_letter_died_is_of_the_letter_in_its_place(value: bytes) -> None:
    one = letter(7)
    assert loaded(one.topic, Record(marks.key(one.topic, one.partition, one.offset), value)).replayed(one)
