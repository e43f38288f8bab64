"""The dictionary passes the contract; over HTTP every kind of answer has its meaning."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from cosmo.runtime.settings import Settings
from schemas import avsc
from schemas.avsc import AvroSchema
from schemas.errors import NotRegistered, Reason, RegistryRefused, RegistryUnreachable, Undecodable
from schemas.fixed_registry import FixedRegistry
from schemas.registry import Registry
from schemas.registry_http import RegistryHttp
from schemas.unknown import BURST, PER_S, UNKNOWN_FOR_S
from tests.schemas.registry_contract import RegistryContract

ABSENT = (404, {"error_code": 40403, "message": "Schema not found"})
STRING = (200, {"schema": '"string"'})


class TestFixedRegistry(RegistryContract):
    @pytest.fixture
    def registry(self) -> FixedRegistry:
        return FixedRegistry()

    @pytest.fixture
    def publish(self, registry: FixedRegistry) -> Callable[[AvroSchema], int]:
        return registry.add

    def test_the_same_schema_is_found_by_its_guid(self, registry: FixedRegistry) -> None:
        number = registry.schema_id("intents")
        assert registry.schema_by_guid(registry.guid(number)) == registry.schema_by_id(number)


class ScriptedServer(ThreadingHTTPServer):
    """Answers requests with what a test has put in ``answers``, the last one for ever, and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: deque[tuple[int, Any]] = deque()
        self.asked: list[tuple[str, str, Any]] = []
        self.authorization: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api"


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, json.loads(content) if content else None))
        self.server.authorization = self.headers.get("Authorization")
        answers = self.server.answers
        status, body = answers.popleft() if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the base class's own names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("schemas.registry_http.RETRY_WAIT_S", 0.0)


class FakeClock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def settings(url: str, **changes: Any) -> Settings:
    return Settings(schema_registry_url=url, topic_prefix="t1.", **changes)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry(server: ScriptedServer, clock: FakeClock) -> Iterator[Registry]:
    made = Registry(settings(server.url), clock=clock)
    yield made
    made.close()


def reason_of(call: Callable[[], object]) -> Reason:
    with pytest.raises(Undecodable) as caught:
        call()
    return caught.value.reason


def test_our_schema_is_looked_up_and_never_registered(registry: Registry, server: ScriptedServer) -> None:
    server.answers.append((200, {"id": 12, "version": 1}))
    assert registry.schema_id("intents") == 12
    [(method, path, body)] = server.asked
    assert (method, path) == ("POST", "/api/subjects/t1.intents-value")
    assert json.loads(body["schema"]) == avsc.load("intents")


def test_a_lookup_is_made_once(registry: Registry, server: ScriptedServer) -> None:
    server.answers.extend([(200, {"id": 12}), STRING])
    assert [registry.schema_id("intents") for _ in range(3)] == [12] * 3
    assert [registry.schema_by_id(5) for _ in range(3)] == ["string"] * 3
    assert len(server.asked) == 2


def test_another_prefix_is_another_subject(registry: Registry, server: ScriptedServer) -> None:
    server.answers.extend([(200, {"id": 1}), (200, {"id": 2})])
    assert (registry.schema_id("intents"), registry.schema_id("intents", "t2.")) == (1, 2)
    assert server.asked[1][1] == "/api/subjects/t2.intents-value"


@pytest.mark.parametrize("code", [40401, 40403])
def test_a_missing_subject_or_version_says_how_to_register(
    registry: Registry, server: ScriptedServer, code: int
) -> None:
    server.answers.append((404, {"error_code": code, "message": "not found"}))
    with pytest.raises(NotRegistered, match="cosmo schemas register"):
        registry.schema_id("intents")


def test_that_it_is_not_registered_is_not_remembered(registry: Registry, server: ScriptedServer) -> None:
    server.answers.extend([ABSENT, (200, {"id": 3})])
    with pytest.raises(NotRegistered):
        registry.schema_id("intents")
    assert registry.schema_id("intents") == 3


def test_an_unknown_id_is_asked_for_once_in_a_while(
    registry: Registry, server: ScriptedServer, clock: FakeClock
) -> None:
    server.answers.extend([ABSENT, STRING])
    for _ in range(3):
        assert reason_of(lambda: registry.schema_by_id(5)) is Reason.UNKNOWN_SCHEMA
    assert len(server.asked) == 1
    clock.now_s += UNKNOWN_FOR_S
    assert registry.schema_by_id(5) == "string"


def test_a_flood_of_unknown_ids_is_no_flood_of_requests(
    registry: Registry, server: ScriptedServer, clock: FakeClock
) -> None:
    server.answers.append(ABSENT)
    reasons = [reason_of(lambda number=number: registry.schema_by_id(number)) for number in range(20_000)]  # type: ignore[misc]
    assert len(server.asked) == BURST
    assert reasons.count(Reason.UNKNOWN_SCHEMA) == BURST
    assert set(reasons) == {Reason.UNKNOWN_SCHEMA, Reason.SCHEMA_NOT_LOOKED_UP}
    clock.now_s += 2.0
    for number in range(1_000):
        reason_of(lambda number=number: registry.schema_by_id(200_000 + number))  # type: ignore[misc]
    assert len(server.asked) == BURST + 2 * PER_S


def test_an_id_that_was_not_asked_for_is_found_once_there_is_time(
    registry: Registry, server: ScriptedServer, clock: FakeClock
) -> None:
    server.answers.extend([*[ABSENT] * BURST, STRING])
    for number in range(BURST + 1):
        reason_of(lambda number=number: registry.schema_by_id(number))  # type: ignore[misc]
    clock.now_s += 1.0
    assert registry.schema_by_id(BURST) == "string"


def test_known_ids_cost_nothing_of_what_may_be_asked(registry: Registry, server: ScriptedServer) -> None:
    server.answers.append(STRING)
    assert {registry.schema_by_id(number) for number in range(2 * BURST)} == {"string"}


def test_unknown_ids_do_not_fill_the_memory(registry: Registry, server: ScriptedServer, clock: FakeClock) -> None:
    server.answers.append(ABSENT)
    for number in range(3 * BURST):
        reason_of(lambda number=number: registry.schema_by_id(number))  # type: ignore[misc]
        clock.now_s += 1 / PER_S
    assert len(registry._unknown) <= BURST + PER_S * UNKNOWN_FOR_S


def test_an_id_that_no_registry_gives_is_not_asked_for(registry: Registry, server: ScriptedServer) -> None:
    assert reason_of(lambda: registry.schema_by_id(2**31)) is Reason.UNKNOWN_SCHEMA
    assert server.asked == []


def test_a_guid_is_asked_for_by_confluents_path(registry: Registry, server: ScriptedServer) -> None:
    server.answers.append(STRING)
    assert registry.schema_by_guid(UUID(int=1)) == "string"
    assert server.asked[0][1] == "/api/schemas/guids/00000000-0000-0000-0000-000000000001"


def test_a_registry_without_guids_knows_none(registry: Registry, server: ScriptedServer) -> None:
    server.answers.append((404, b""))
    assert reason_of(lambda: registry.schema_by_guid(UUID(int=1))) is Reason.UNKNOWN_SCHEMA


@pytest.mark.parametrize(
    "answer",
    [
        {"schema": "syntax = ...", "schemaType": "PROTOBUF"},
        {"schema": '"string"', "references": [{"name": "a", "subject": "a", "version": 1}]},
    ],
)
def test_what_is_not_avro_in_one_piece_is_a_mismatch(registry: Registry, server: ScriptedServer, answer: Any) -> None:
    server.answers.append((200, answer))
    for _ in range(3):
        assert reason_of(lambda: registry.schema_by_id(5)) is Reason.SCHEMA_MISMATCH
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_registry_in_trouble_is_asked_again_and_says_nothing_about_the_record(
    registry: Registry, server: ScriptedServer, status: int
) -> None:
    server.answers.extend([(status, b"<html>busy</html>"), STRING])
    assert registry.schema_by_id(5) == "string"
    server.answers.append((status, b"<html>busy</html>"))
    server.answers.popleft()
    with pytest.raises(RegistryUnreachable) as caught:
        registry.schema_by_id(6)
    assert caught.value.retriable


def test_a_registry_that_is_gone_is_unreachable() -> None:
    gone = Registry(settings("http://127.0.0.1:9/api"))
    with pytest.raises(RegistryUnreachable, match="does not answer"):
        gone.schema_by_id(5)
    gone.close()


@pytest.mark.parametrize("answer", [(404, b"<html>nothing here</html>"), (404, {}), (401, {}), (403, {}), (302, {})])
def test_a_wrong_address_or_password_does_not_make_dead_letters(
    registry: Registry, server: ScriptedServer, answer: tuple[int, Any]
) -> None:
    """Were a bare 404 taken for an unknown schema, a mistyped address would pour a whole topic into its DLQ."""
    server.answers.append(answer)
    with pytest.raises(RegistryRefused) as caught:
        registry.schema_by_id(5)
    assert not caught.value.retriable
    assert "SCHEMA_REGISTRY_" in caught.value.advice


@pytest.mark.parametrize("body", [b"", b"<html>a portal</html>", [], "text"])
def test_an_answer_that_is_no_registrys_is_refused(registry: Registry, server: ScriptedServer, body: Any) -> None:
    server.answers.append((200, body))
    with pytest.raises(RegistryRefused):
        registry.schema_by_id(5)


def test_register_sets_the_level_first_and_then_every_version(registry: Registry, server: ScriptedServer) -> None:
    server.answers.extend([(200, {"compatibility": "FULL_TRANSITIVE"}), (200, {"id": 4})])
    assert registry.register("co-purchase") == (4,)
    assert [(method, path) for method, path, _ in server.asked] == [
        ("PUT", "/api/config/t1.co-purchase-value"),
        ("POST", "/api/subjects/t1.co-purchase-value/versions"),
    ]
    assert server.asked[0][2] == {"compatibility": "FULL_TRANSITIVE"}


def test_a_version_that_the_registry_finds_incompatible_is_refused(registry: Registry, server: ScriptedServer) -> None:
    server.answers.extend([(200, {"compatibility": "x"}), (409, {"error_code": 409, "message": "incompatible"})])
    with pytest.raises(RegistryRefused, match="cosmo schemas check"):
        registry.register("co-purchase")


def test_user_and_password_are_sent_and_never_shown(server: ScriptedServer) -> None:
    server.answers.append((401, {}))
    made = Registry(settings(server.url, schema_registry_user_info="alice:secret:x"))
    with pytest.raises(RegistryRefused) as caught:
        made.schema_by_id(5)
    made.close()
    assert server.authorization == "Basic YWxpY2U6c2VjcmV0Ong="
    assert "secret" not in str(caught.value)


def test_credentials_within_the_address_are_used_and_never_shown(server: ScriptedServer) -> None:
    server.answers.append((403, {}))
    http = RegistryHttp(settings(server.url.replace("http://", "http://bob:hidden@")))
    with pytest.raises(RegistryRefused) as caught:
        http.ask("GET", "subjects")
    http.close()
    assert server.authorization == "Basic Ym9iOmhpZGRlbg=="
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_registry_url": "registry:8081"},
        {"schema_registry_url": "http://[::1"},
        {"schema_registry_url": ""},
        {"schema_registry_user_info": SecretStr("alice")},
        {"schema_registry_ca_location": "/nonexistent/ca.pem"},
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(changes: dict[str, Any]) -> None:
    with pytest.raises(RegistryRefused, match="SCHEMA_REGISTRY_URL"):
        Registry(Settings().model_copy(update=changes))  # which checks nothing
