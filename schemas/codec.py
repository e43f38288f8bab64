"""Records to Kafka values and back: Confluent framing around Avro, with schemas looked up in a registry.

A codec never registers a schema. Lookups happen once per schema id and block; a process that must not stand still
calls ``schema_id`` and ``reader`` at its start or from a thread.
"""

from __future__ import annotations

from functools import cached_property
from io import BytesIO
from typing import Generic, TypeVar

from fastavro import parse_schema, schemaless_writer
from fastavro.schema import SchemaParseException, UnknownType

from schemas import avsc
from schemas.avsc import AvroSchema
from schemas.convert import converter
from schemas.errors import Reason, Undecodable, Unencodable
from schemas.framing import Headers, SchemaKey, id_frame, split_frame
from schemas.reader import BodyReader
from schemas.records import Record
from schemas.registry import SchemaLookup
from schemas.shape import without_logical_types

__all__ = ["Codec", "Headers", "SchemaKey", "split_frame"]

R = TypeVar("R", bound=Record)

_NO_SCHEMA = (SchemaParseException, UnknownType, ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
"""What the library makes of a schema that it cannot read. A registry may take more than we do, and one such schema must
not end every worker that meets a record of it."""


class Codec(Generic[R]):
    """One topic's records. ``prefix`` replaces the registry's own topic prefix when it is given.

    TypeError at once when ``record_type`` and the topic's newest schema do not agree.
    """

    def __init__(
        self, topic_name: str, record_type: type[R], registry: SchemaLookup, prefix: str | None = None
    ) -> None:
        self.topic_name = topic_name
        self._schema = avsc.load(topic_name)
        self._bare = parse_schema(without_logical_types(self._schema))
        self._converter = converter(self._schema, record_type)
        self._registry = registry
        self._prefix = prefix
        self._readers: dict[SchemaKey, BodyReader | Undecodable] = {}

    @cached_property
    def schema_id(self) -> int:
        """The registry's number of the schema that ``encode`` writes with.

        Raises NotRegistered, RegistryRefused or RegistryUnreachable.
        """
        return self._registry.schema_id(self.topic_name, self._prefix)

    def encode(self, record: R) -> bytes:
        """The framed value. Raises Unencodable, and what ``schema_id`` raises on the first call."""
        out = BytesIO(id_frame(self.schema_id))
        out.seek(0, 2)
        try:
            schemaless_writer(out, self._bare, self._converter.to_avro(record))
        except UnicodeEncodeError as error:
            raise Unencodable(f"{self.topic_name}: text is not valid Unicode: {error.reason}.") from error
        return out.getvalue()

    def decode(self, value: bytes | None, headers: Headers = ()) -> R:
        """The record. Raises Undecodable; RegistryUnreachable and RegistryRefused are not the record's fault."""
        key, at = split_frame(value, headers)
        return self._record(self.reader(key).read((value or b"")[at:]))

    def _record(self, datum: dict[str, object]) -> R:
        record: R = self._converter.from_avro(datum) if self._converter.from_avro else datum  # type: ignore[assignment]
        return record

    def reader(self, key: SchemaKey) -> BodyReader:
        """Reads the bodies written with this schema; ``.schema`` is the writer's schema as JSON.

        Raises as ``decode`` does. A verdict on a known schema is final, as schema ids are never given twice.
        """
        found = self._readers.get(key)
        if found is None:
            found = self._readers[key] = self._judge(key, self._look_up(key))
        if isinstance(found, Undecodable):
            raise Undecodable(found.reason, found.detail)
        return found

    def _look_up(self, key: SchemaKey) -> AvroSchema:
        if isinstance(key, int):
            return self._registry.schema_by_id(key)
        return self._registry.schema_by_guid(key)

    def _judge(self, key: SchemaKey, writer: AvroSchema) -> BodyReader | Undecodable:
        try:
            return BodyReader(ours=self._schema, writer=writer)
        except Undecodable as error:
            return Undecodable(error.reason, f"schema {key}: {error.detail}")
        except _NO_SCHEMA as error:
            return Undecodable(Reason.SCHEMA_MISMATCH, f"schema {key}: {type(error).__name__}: {error}")
