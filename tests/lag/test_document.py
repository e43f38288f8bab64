from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cosmo.lag import group_lags
from cosmo.lag.document import as_document, duration
from cosmo.lag.model import GroupReading, OldestRecord, PartitionReading, Snapshot


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.96, "10.0 s"),
        (59.9, "59 s"),
        (60, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (86_400 * 2 + 3600 * 4, "2 d 04 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_document_is_json_with_null_for_what_nobody_knows() -> None:
    partition = PartitionReading(
        topic="t", partition=0, committed_offset=None, log_start_offset=0, log_end_offset=5, problem=""
    )
    group = GroupReading(group="g", state="EMPTY", members=0, partitions=(partition,))
    taken_at = datetime(2026, 11, 24, tzinfo=UTC)
    document = json.loads(json.dumps(as_document(taken_at, group_lags(Snapshot(taken_at=taken_at, groups=(group,))))))
    assert document["taken_at"] == "2026-11-24T00:00:00+00:00"
    (written,) = document["groups"]
    assert (written["group"], written["records"], written["seconds"]) == ("g", None, None)
    assert written["partitions"][0]["standing"] == "no commit yet"
    assert document["complete"] is False
    assert written["partitions"][0]["note"] == "no commit yet; 5 in the log"


def test_the_document_is_complete_when_every_figure_is_known() -> None:
    partition = PartitionReading(
        topic="t", partition=0, committed_offset=None, log_start_offset=0, log_end_offset=5, from_beginning=True,
        oldest=OldestRecord(offset=0, timestamp=datetime(2026, 11, 23, tzinfo=UTC)),
    )  # fmt: skip
    group = GroupReading(group="g", state="EMPTY", members=0, partitions=(partition,))
    taken_at = datetime(2026, 11, 24, tzinfo=UTC)
    document = as_document(taken_at, group_lags(Snapshot(taken_at=taken_at, groups=(group,))))
    (written,) = document["groups"]
    assert (written["records"], written["seconds"], document["complete"]) == (5, 86_400.0, True)


def test_the_document_says_that_it_is_not_complete_and_what_is_missing() -> None:
    told = PartitionReading(topic="t", partition=0, committed_offset=5, log_start_offset=0, log_end_offset=5)
    untold = replace(told, partition=1, committed_offset=None, commit_known=False, problem="no coordinator")
    group = GroupReading(group="g", state="UNKNOWN", members=0, partitions=(told, untold), problem="no answer")
    taken_at = datetime(2026, 11, 24, tzinfo=UTC)
    document = as_document(taken_at, group_lags(Snapshot(taken_at=taken_at, groups=(group,))))
    assert document["complete"] is False
    (written,) = document["groups"]
    assert (written["records"], written["members"], written["problem"]) == (None, None, "no answer")
    assert [one["problem"] for one in written["partitions"]] == ["", "no coordinator"]
