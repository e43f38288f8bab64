"""`cosmo schemas`: a table for people, one JSON document for machines, one sentence when something is wrong."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from typer.testing import CliRunner

from cosmo.cli.schemas import app
from schemas import avsc
from schemas.errors import Incompatible

RUN = CliRunner()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second version of the query-purchase schema that lacks a field without default."""
    real_load, real_versions = avsc.load, avsc.versions

    def versions(topic_name: str) -> tuple[int, ...]:
        return (1, 2) if topic_name == "query-purchase" else real_versions(topic_name)

    def load(topic_name: str, version: int | None = None) -> dict[str, Any]:
        if topic_name != "query-purchase":
            return real_load(topic_name, version)
        schema = deepcopy(real_load(topic_name, 1))
        if version == 2:
            schema["fields"] = [part for part in schema["fields"] if part["name"] != "query"]
        return schema

    monkeypatch.setattr(avsc, "versions", versions)
    monkeypatch.setattr(avsc, "load", load)


def test_check_prints_every_topic_and_its_level() -> None:
    result = RUN.invoke(app, ["check"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert all(topic in result.stdout for topic in avsc.topics())
    assert "FULL_TRANSITIVE" in result.stdout


def test_check_prints_one_json_document() -> None:
    result = RUN.invoke(app, ["check", "--json"])
    rows = json.loads(result.stdout)
    assert [row["topic"] for row in rows] == list(avsc.topics())
    assert all(row["obstacles"] == [] for row in rows)


@pytest.mark.usefixtures("broken")
def test_check_fails_with_the_first_incompatibility_in_one_sentence() -> None:
    result = RUN.invoke(app, ["check"])
    assert isinstance(result.exception, Incompatible)
    assert str(result.exception).startswith("query-purchase: version 1 cannot read version 2:")
    assert "must stay FULL_TRANSITIVE" in result.exception.advice


@pytest.mark.usefixtures("broken")
def test_a_failed_check_still_prints_its_json() -> None:
    result = RUN.invoke(app, ["check", "--json"])
    [row] = [row for row in json.loads(result.stdout) if row["topic"] == "query-purchase"]
    assert row["versions"] == [1, 2]
    assert len(row["obstacles"]) == 1


def test_help_teaches_by_an_example() -> None:
    for command in ("check", "register"):
        assert f"cosmo schemas {command}" in RUN.invoke(app, [command, "--help"]).stdout
