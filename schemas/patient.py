"""A registry that is waited for. While it does not answer, whoever asks stands still, which is how its outage reaches
the brokers as lag, and no record is judged by a registry that was away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from cosmo.runtime.waiting import WAITING, GivenUp, pause_s
from schemas.avsc import AvroSchema
from schemas.errors import RegistryUnreachable, SchemaFailure
from schemas.registry import SchemaLookup

T = TypeVar("T")

DEPENDENCY = "schema registry"


@dataclass(frozen=True, slots=True)
class PatientRegistry:
    """`SchemaLookup` over another that never raises RegistryUnreachable: it asks again, with pauses, without end.

    Calls block as long, so they belong into threads. GivenUp once ``stopping`` is set.
    """

    registry: SchemaLookup
    stopping: threading.Event = field(default_factory=threading.Event)

    def schema_id(self, topic_name: str, prefix: str | None = None) -> int:
        return self._asked(lambda: self.registry.schema_id(topic_name, prefix))

    def schema_by_id(self, schema_id: int) -> AvroSchema:
        return self._asked(lambda: self.registry.schema_by_id(schema_id))

    def schema_by_guid(self, guid: UUID) -> AvroSchema:
        return self._asked(lambda: self.registry.schema_by_guid(guid))

    def _asked(self, ask: Callable[[], T]) -> T:
        failed = 0
        while True:
            try:
                answer = ask()
            except RegistryUnreachable as error:
                WAITING.failed(DEPENDENCY, error.what)
                if self.stopping.wait(pause_s(failed)):
                    raise GivenUp("The schema registry was still away when the process stopped.") from error
                failed += 1
            except SchemaFailure:  # an answer too
                self._answered(failed)
                raise
            else:
                self._answered(failed)
                return answer

    @staticmethod
    def _answered(failed: int) -> None:
        """Whoever had to wait ends the wait; what came from the cache says nothing of the registry."""
        if failed:
            WAITING.answered(DEPENDENCY)
