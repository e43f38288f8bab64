from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import pytest

from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging belongs to the whole process: other tests must find it as it was."""
    root, libraries = logging.getLogger(), [logging.getLogger(name) for name in logs.LIBRARIES]
    handlers, levels = root.handlers[:], [logger.level for logger in (root, *libraries)]
    yield
    root.handlers[:] = handlers
    for logger, level in zip((root, *libraries), levels, strict=True):
        logger.setLevel(level)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_one_line_of_json_on_standard_error_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"), process="ingest")
    logs.get("streams.fetch").info("fetch acked", topic="query-purchase", partition=3, at=logs.at("t", 3, 41))
    (line,) = _lines(capsys)
    assert line["event"] == "fetch acked"
    assert line["at"] == "t[3]@41"
    assert (line["process"], line["logger"], line["level"]) == ("ingest", "streams.fetch", "info")


def test_every_line_of_the_process_has_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever thread or task it comes from, and whoever logs it."""
    logs.configure(Settings(log_format="json"), process="ingest")
    thread = threading.Thread(target=lambda: logs.get("ours").info("from a thread"))
    thread.start()
    thread.join()
    logging.getLogger("aiokafka").warning("from a library")
    assert [line["process"] for line in _lines(capsys)] == ["ingest", "ingest"]


def test_a_library_speaks_in_the_same_format_but_only_from_warning_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"))
    logging.getLogger("aiokafka.consumer").info("joining %s", "group")
    logging.getLogger("aiokafka.consumer").warning("heartbeat of %s failed", "member")
    (line,) = _lines(capsys)
    assert line["event"] == "heartbeat of member failed"


def test_a_service_of_faust_is_a_field_and_no_riddle_before_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"))
    logging.getLogger("streams.app").info("[^_App]: Starting...")
    logging.getLogger("streams.app").warning("[^_App]: Crashed: %s", "no broker")
    logging.getLogger("faust.agents").error("[^---AgentTask: of %s]: Stopped", "ingest")
    logging.getLogger("ours").warning("[x]: nothing of Faust's")
    app, agent, other = _lines(capsys)
    assert (app["event"], app["service"]) == ("Crashed: no broker", "App")
    assert (agent["event"], agent["service"]) == ("Stopped", "AgentTask: of ingest")
    assert other["event"] == "[x]: nothing of Faust's"


def test_debug_shows_what_libraries_do_but_not_their_innards(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json", log_level="DEBUG"))
    logging.getLogger("faust").debug("innards")
    logging.getLogger("faust").info("rebalancing")
    logs.get("ours").debug("fetch taken")
    assert [line["event"] for line in _lines(capsys)] == ["rebalancing", "fetch taken"]


def test_an_exception_stays_on_the_line_of_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"))
    try:
        raise ValueError("broken")
    except ValueError:
        logs.get("ours").exception("fetch failed")
    (line,) = _lines(capsys)
    assert "ValueError: broken" in str(line["exception"])


def test_an_object_logged_by_a_library_becomes_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"))
    logging.getLogger("faust").error(KeyError("x"))
    (line,) = _lines(capsys)
    assert line["event"] == "'x'"


def test_the_console_format_has_no_colours_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="console"))
    logs.get("ours").info("fetch acked", partition=3)
    line = capsys.readouterr().err
    assert "fetch acked" in line
    assert "partition=3" in line
    assert "\x1b" not in line


def test_an_unknown_level_is_one_sentence() -> None:
    with pytest.raises(CosmoError, match="COSMO_LOG_LEVEL"):
        logs.configure(Settings(log_level="LOUD"))
