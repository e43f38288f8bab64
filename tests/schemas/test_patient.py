"""While the registry is away whoever asks waits; every answer, also a refusal, ends the wait."""

from __future__ import annotations

import threading

import pytest

from cosmo.runtime.waiting import WAITING, GivenUp
from schemas.avsc import AvroSchema
from schemas.errors import Reason, RegistryRefused, RegistryUnreachable, Undecodable
from schemas.fixed_registry import FixedRegistry
from schemas.patient import DEPENDENCY, PatientRegistry
from schemas.registry import unknown_schema
from tests.schemas.registry_contract import RegistryContract


class TestPatientRegistry(RegistryContract):
    @pytest.fixture
    def fixed(self) -> FixedRegistry:
        return FixedRegistry()

    @pytest.fixture
    def registry(self, fixed: FixedRegistry) -> PatientRegistry:
        return PatientRegistry(fixed)

    @pytest.fixture
    def publish(self, fixed: FixedRegistry) -> object:
        return fixed.add


class ReturningRegistry(FixedRegistry):
    """Away for some attempts, then it answers with a schema or an error."""

    def __init__(self, away: int, answer: Exception | None = None) -> None:
        super().__init__()
        self.away = away
        self.answer = answer
        self.failed = threading.Event()

    def schema_by_id(self, schema_id: int) -> AvroSchema:
        if self.away:
            self.away -= 1
            self.failed.set()
            raise RegistryUnreachable("It does not answer.")
        if self.answer is not None:
            raise self.answer
        return super().schema_by_id(schema_id)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow at once."""
    monkeypatch.setattr("cosmo.runtime.waiting.FIRST_PAUSE_S", 1e-6)


def test_a_registry_that_comes_back_answers_as_if_it_had_not_been_away() -> None:
    returning = ReturningRegistry(away=5)
    assert PatientRegistry(returning).schema_by_id(1) == FixedRegistry().schema_by_id(1)
    assert returning.away == 0
    assert DEPENDENCY not in {wait.dependency for wait in WAITING.now()}


@pytest.mark.parametrize("answer", [unknown_schema(1), RegistryRefused("Wrong password.")])
def test_a_refusal_is_an_answer_too(answer: Exception) -> None:
    with pytest.raises(type(answer)):
        PatientRegistry(ReturningRegistry(away=2, answer=answer)).schema_by_id(1)
    assert DEPENDENCY not in {wait.dependency for wait in WAITING.now()}


def test_a_stop_ends_the_wait_at_once() -> None:
    away, stopping = ReturningRegistry(away=10**9), threading.Event()
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            PatientRegistry(away, stopping).schema_by_id(1)
        except GivenUp as error:
            ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert away.failed.wait(10.0)
    stopping.set()
    asking.join(10.0)
    assert len(ended) == 1
    WAITING.answered(DEPENDENCY)  # this process goes on


def test_a_verdict_on_a_record_is_never_made_while_the_registry_is_away() -> None:
    with pytest.raises(Undecodable) as caught:
        PatientRegistry(ReturningRegistry(away=3)).schema_by_id(2**31)
    assert caught.value.reason is Reason.UNKNOWN_SCHEMA
