"""The schema registry as this project uses it: our schemas by topic, everybody's schemas by id.

Lookups are cached for the life of the process, since an id never changes its meaning. How often ids are asked for that
turn out unknown is bounded (`schemas.unknown`), so that a flood of damaged records is no flood of requests.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID

from cosmo.runtime.settings import Settings
from schemas import avsc
from schemas.avsc import AvroSchema
from schemas.compatibility import level
from schemas.errors import NotRegistered, Reason, Undecodable
from schemas.framing import SchemaKey
from schemas.registry_http import RegistryHttp
from schemas.unknown import Unknown

MAX_ID = 2**31 - 1  # registries count in Java ints, and some answer a larger id with 500


class SchemaLookup(Protocol):
    """What a codec needs of a registry. Every implementation passes ``tests/schemas/registry_contract.py``.

    All three may raise RegistryUnreachable (ask again later) and RegistryRefused (somebody must act).
    """

    def schema_id(self, topic_name: str, prefix: str | None = None) -> int:
        """Number of our newest schema of the topic; NotRegistered when it is not there."""

    def schema_by_id(self, schema_id: int) -> AvroSchema:
        """The schema of this number; Undecodable (unknown_schema, schema_not_looked_up when too many unknown ones came
        to ask for each, or schema_mismatch when it is not plain Avro)."""

    def schema_by_guid(self, guid: UUID) -> AvroSchema:
        """As ``schema_by_id``; a registry that gives no GUIDs knows none."""


def unknown_schema(key: SchemaKey) -> Undecodable:
    """What every implementation raises for an id that it does not know."""
    return Undecodable(Reason.UNKNOWN_SCHEMA, f"the registry has no schema {key}")


class Registry:
    """A Confluent-compatible registry. Calls block, for about 16 s at worst, and may come from any thread.

    Subjects are ``<prefix><topic>-value``; the prefix is the settings' own unless a call gives another.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = RegistryHttp(settings)
        self._prefix = settings.topic_prefix
        self._ours: dict[str, int] = {}
        self._known: dict[SchemaKey, AvroSchema | Undecodable] = {}
        self._unknown = Unknown(clock)

    def close(self) -> None:
        """Close the connections; what is cached can still be had."""
        self._http.close()

    def schema_id(self, topic_name: str, prefix: str | None = None) -> int:
        subject = self.subject(topic_name, prefix)
        if subject not in self._ours:
            found = self._http.ask("POST", f"subjects/{quote(subject, safe='')}", _request(topic_name))
            if found is None:
                raise NotRegistered(
                    f"The newest schema of {topic_name} is not registered as {subject} at {self._http.address}.",
                    advice="Run `cosmo schemas register`.",
                )
            self._ours[subject] = found["id"]
        return self._ours[subject]

    def schema_by_id(self, schema_id: int) -> AvroSchema:
        if schema_id > MAX_ID:
            raise unknown_schema(schema_id)
        return self._find(schema_id, lambda: self._http.ask("GET", f"schemas/ids/{schema_id}"))

    def schema_by_guid(self, guid: UUID) -> AvroSchema:
        return self._find(guid, lambda: self._http.ask("GET", f"schemas/guids/{guid}", bare_404_is_absent=True))

    def register(self, topic_name: str, prefix: str | None = None) -> tuple[int, ...]:
        """Set the topic's compatibility level, then register every version, oldest first; their ids.

        Idempotent. RegistryRefused when the registry finds a version incompatible with what it has.
        """
        subject = quote(self.subject(topic_name, prefix), safe="")
        self._http.ask("PUT", f"config/{subject}", {"compatibility": level(topic_name).value})
        bodies = [_request(topic_name, version) for version in avsc.versions(topic_name)]
        return tuple(self._http.ask("POST", f"subjects/{subject}/versions", body)["id"] for body in bodies)

    def subject(self, topic_name: str, prefix: str | None = None) -> str:
        """Confluent's TopicNameStrategy for values."""
        return f"{self._prefix if prefix is None else prefix}{topic_name}-value"

    def _find(self, key: SchemaKey, fetch: Callable[[], Any]) -> AvroSchema:
        if key not in self._known:
            self._known[key] = self._fetched(key, fetch)
        found = self._known[key]
        if isinstance(found, Undecodable):
            raise Undecodable(found.reason, found.detail)
        return found

    def _fetched(self, key: SchemaKey, fetch: Callable[[], Any]) -> AvroSchema | Undecodable:
        """What will always be answered; raises what may be otherwise in a while."""
        if key in self._unknown:
            raise unknown_schema(key)
        if not self._unknown.may_ask:
            raise Undecodable(Reason.SCHEMA_NOT_LOOKED_UP, f"schema {key}: too many unknown ids came before it")
        answer = fetch()
        if answer is None:
            self._unknown.add(key)
            raise unknown_schema(key)
        return _plain_avro(key, answer)


def _request(topic_name: str, version: int | None = None) -> dict[str, str]:
    return {"schema": avsc.text(avsc.load(topic_name, version)), "schemaType": "AVRO"}


def _plain_avro(key: SchemaKey, answer: dict[str, Any]) -> AvroSchema | Undecodable:
    if answer.get("schemaType", "AVRO") != "AVRO" or answer.get("references"):
        return Undecodable(Reason.SCHEMA_MISMATCH, f"schema {key} is not Avro in one piece")
    try:
        schema: AvroSchema = json.loads(answer["schema"])
    except ValueError:
        return str(answer["schema"])  # a bare type name, which some registries store without its quotes
    return schema
