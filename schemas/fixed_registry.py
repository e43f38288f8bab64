"""A registry that is a dictionary: for tests and benchmarks, which must not depend on a server being up."""

from __future__ import annotations

from uuid import UUID, uuid5

from schemas import avsc
from schemas.avsc import AvroSchema
from schemas.errors import NotRegistered
from schemas.registry import unknown_schema

_NAMESPACE = UUID("5f0c6d1e-3a53-4a4e-9d6e-9b1f6f1b7c10")  # any constant: the same schema gets the same GUID


class FixedRegistry:
    """Holds every version of the given topics (all of ours by default), with ids counted from 1."""

    def __init__(self, topics: tuple[str, ...] | None = None) -> None:
        self._schemas: list[AvroSchema] = []
        self._newest: dict[str, int] = {}
        for topic_name in avsc.topics() if topics is None else topics:
            for version in avsc.versions(topic_name):
                self._newest[topic_name] = self.add(avsc.load(topic_name, version))

    def add(self, schema: AvroSchema) -> int:
        """Take in a schema, as if another producer had registered it; its id."""
        if schema not in self._schemas:
            self._schemas.append(schema)
        return self._schemas.index(schema) + 1

    def guid(self, schema_id: int) -> UUID:
        """The GUID by which the same schema is found."""
        return uuid5(_NAMESPACE, avsc.text(self._schemas[schema_id - 1]))

    def schema_id(self, topic_name: str, prefix: str | None = None) -> int:
        """One subject serves every prefix."""
        if topic_name not in self._newest:
            raise NotRegistered(f"{topic_name} is not in this registry.")
        return self._newest[topic_name]

    def schema_by_id(self, schema_id: int) -> AvroSchema:
        if not 1 <= schema_id <= len(self._schemas):
            raise unknown_schema(schema_id)
        return self._schemas[schema_id - 1]

    def schema_by_guid(self, guid: UUID) -> AvroSchema:
        for number, schema in enumerate(self._schemas, start=1):
            if self.guid(number) == guid:
                return schema
        raise unknown_schema(guid)
