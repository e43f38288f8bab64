"""What every registry must do, whether it is a dictionary or a server. Inherited by a test class for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from schemas import avsc
from schemas.avsc import AvroSchema
from schemas.codec import Codec
from schemas.errors import NotRegistered, Reason, Undecodable
from schemas.records import QueryPurchase
from schemas.registry import SchemaLookup
from tests.schemas.examples import QUERY_PURCHASE

FOREIGN: AvroSchema = {"type": "record", "name": "Foreign", "fields": [{"name": "n", "type": "long"}]}


class RegistryContract:
    """``registry`` holds every version of our schemas; ``publish`` is another producer that adds one."""

    @pytest.fixture
    def registry(self) -> SchemaLookup:
        raise NotImplementedError

    @pytest.fixture
    def publish(self) -> Callable[[AvroSchema], int]:
        raise NotImplementedError

    @pytest.mark.parametrize("topic", avsc.topics())
    def test_our_newest_schema_is_found_by_topic_and_by_its_id(self, registry: SchemaLookup, topic: str) -> None:
        assert registry.schema_by_id(registry.schema_id(topic)) == avsc.load(topic)

    def test_a_topic_that_is_not_registered_is_said_so(self, registry: SchemaLookup) -> None:
        with pytest.raises((NotRegistered, KeyError)):
            registry.schema_id("nonsense")

    def test_a_schema_of_another_producer_is_found_by_its_id(
        self, registry: SchemaLookup, publish: Callable[[AvroSchema], int]
    ) -> None:
        assert registry.schema_by_id(publish(FOREIGN)) == FOREIGN

    @pytest.mark.parametrize("schema_id", [0, 2_000_000_000, 2**31 - 1, 2**31, 2**32 - 1])
    def test_an_unknown_id_makes_the_record_undecodable(self, registry: SchemaLookup, schema_id: int) -> None:
        with pytest.raises(Undecodable) as caught:
            registry.schema_by_id(schema_id)
        assert caught.value.reason is Reason.UNKNOWN_SCHEMA

    def test_an_unknown_guid_makes_the_record_undecodable(self, registry: SchemaLookup) -> None:
        with pytest.raises(Undecodable) as caught:
            registry.schema_by_guid(UUID(int=7))
        assert caught.value.reason is Reason.UNKNOWN_SCHEMA

    def test_a_codec_speaks_through_it(self, registry: SchemaLookup) -> None:
        codec: Codec[Any] = Codec("query-purchase", QueryPurchase, registry)
        assert codec.decode(codec.encode(QUERY_PURCHASE)) == QUERY_PURCHASE
