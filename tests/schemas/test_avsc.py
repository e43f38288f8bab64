"""The Avro files: all there, all valid, and what a stranger may rely on."""

from __future__ import annotations

import pytest

from schemas import avsc
from schemas.compatibility import invalid
from schemas.records import BY_TOPIC
from schemas.shape import hollow_arrays
from streams import topics

EVERY_VERSION = [(topic, version) for topic in avsc.topics() for version in avsc.versions(topic)]


def test_every_topic_has_a_contract_and_a_record() -> None:
    assert {topic.name for topic in topics.ALL} == set(avsc.topics()) == set(BY_TOPIC)


@pytest.mark.parametrize("topic", avsc.topics())
def test_versions_count_from_one_without_gaps(topic: str) -> None:
    assert avsc.versions(topic) == tuple(range(1, len(avsc.versions(topic)) + 1))


@pytest.mark.parametrize("topic", avsc.topics())
def test_the_newest_version_is_the_default(topic: str) -> None:
    assert avsc.load(topic) == avsc.load(topic, avsc.versions(topic)[-1])


@pytest.mark.parametrize(("topic", "version"), EVERY_VERSION)
def test_every_file_is_a_valid_schema_of_the_record(topic: str, version: int) -> None:
    schema = avsc.load(topic, version)
    assert invalid(schema) is None
    assert hollow_arrays(schema) == []
    assert (schema["namespace"], schema["name"]) == ("cosmo.events", BY_TOPIC[topic].__name__)


@pytest.mark.parametrize(("topic", "version"), EVERY_VERSION)
def test_every_field_is_documented(topic: str, version: int) -> None:
    assert all(field["doc"] for field in avsc.load(topic, version)["fields"])


def test_a_topic_or_version_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        avsc.versions("nonsense")
    with pytest.raises(KeyError):
        avsc.load("intents", 99)


def test_text_is_the_same_for_the_same_schema_and_gives_it_back() -> None:
    assert "\n" not in avsc.text(avsc.load("intents"))
    assert avsc.text('"string"') == '"\\"string\\""'
