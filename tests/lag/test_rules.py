from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.lag import GroupLag, Standing, group_lags
from cosmo.lag.model import GroupReading, Oldest, OldestRecord, PartitionReading, Snapshot
from cosmo.lag.rules import partition_lag

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def _reading(
    *,
    committed: int | None,
    start: int | None = 0,
    end: int | None = 100,
    oldest: Oldest = "unread",
    problem: str = "",
    open_known: bool = True,
    ours: bool = False,
) -> PartitionReading:
    return PartitionReading(
        topic="t",
        partition=0,
        committed_offset=committed,
        log_start_offset=start,
        log_end_offset=end,
        stable_offset=end if open_known else None,
        oldest=oldest,
        problem=problem,
        from_beginning=ours,
    )


def _record(offset: int, age_s: float | None = 30) -> OldestRecord:
    return OldestRecord(offset=offset, timestamp=None if age_s is None else NOW - timedelta(seconds=age_s))


@pytest.mark.parametrize(
    ("reading", "standing", "records", "seconds", "note"),
    [
        pytest.param(_reading(committed=40, oldest=_record(40)), Standing.BEHIND, 60, 30.0, "", id="behind"),
        pytest.param(_reading(committed=100), Standing.CURRENT, 0, 0.0, "", id="all committed"),
        pytest.param(
            _reading(committed=None), Standing.NO_COMMIT, None, None, "no commit yet; 100 in the log", id="no commit"
        ),
        pytest.param(
            _reading(committed=None, start=40, oldest=_record(40), ours=True),
            Standing.BEHIND,
            60,
            30.0,
            "no commit yet: all of the log waits",
            id="no commit of ours",
        ),
        pytest.param(
            _reading(committed=None, oldest=_record(90), ours=True),
            Standing.BEHIND,
            10,
            30.0,
            "no commit yet: all of the log waits",
            id="no commit of ours, compaction hole",
        ),
        pytest.param(
            _reading(committed=None, oldest="nothing", ours=True),
            Standing.CURRENT,
            0,
            0.0,
            "",
            id="no commit of ours, all compacted away",
        ),
        pytest.param(
            replace(_reading(committed=None, problem="no coordinator", ours=True), commit_known=False),
            Standing.UNREADABLE,
            None,
            None,
            "no coordinator",
            id="commit of ours not told",
        ),
        pytest.param(_reading(committed=None, end=0), Standing.CURRENT, 0, 0.0, "", id="empty log, no commit"),
        pytest.param(
            _reading(committed=10, start=40, end=40),
            Standing.CURRENT,
            0,
            0.0,
            "30 deleted before they were read",
            id="everything deleted",
        ),
        pytest.param(
            _reading(committed=10, start=40, oldest=_record(40)),
            Standing.BEHIND,
            60,
            30.0,
            "30 deleted before they were read",
            id="some deleted",
        ),
        pytest.param(_reading(committed=40, oldest="nothing"), Standing.CURRENT, 0, 0.0, "", id="compacted away"),
        pytest.param(
            _reading(committed=40, oldest="nothing", open_known=False, problem="timed out"),
            Standing.BEHIND,
            60,
            None,
            "timed out",
            id="nobody told whether a transaction is open",
        ),
        pytest.param(_reading(committed=40, oldest=_record(90)), Standing.BEHIND, 10, 30.0, "", id="compaction hole"),
        pytest.param(
            _reading(committed=120),
            Standing.CURRENT,
            0,
            0.0,
            "commit beyond the end of the log; was the topic made anew?",
            id="topic made anew",
        ),
        pytest.param(
            _reading(committed=None, start=None, end=None, problem="no leader"),
            Standing.UNREADABLE,
            None,
            None,
            "no leader",
            id="no leader",
        ),
        pytest.param(
            replace(_reading(committed=None, problem="no coordinator"), commit_known=False),
            Standing.UNREADABLE,
            None,
            None,
            "no coordinator",
            id="commit not told",
        ),
        pytest.param(
            replace(_reading(committed=None, end=0, problem="no coordinator"), commit_known=False),
            Standing.CURRENT,
            0,
            0.0,
            "no coordinator",
            id="commit not told of an empty log",
        ),
        pytest.param(
            replace(_reading(committed=None, start=None, end=None), exists=False),
            Standing.NO_TOPIC,
            None,
            None,
            "the topic does not exist",
            id="no topic",
        ),
        pytest.param(
            _reading(committed=40, oldest="unread", problem="too slow"),
            Standing.BEHIND,
            60,
            None,
            "too slow",
            id="oldest not read",
        ),
        pytest.param(
            _reading(committed=40, oldest=_record(40, age_s=None)),
            Standing.BEHIND,
            60,
            None,
            "records carry no timestamp",
            id="no timestamp",
        ),
        pytest.param(
            _reading(committed=40, oldest=_record(40, age_s=-5)), Standing.BEHIND, 60, 0.0, "", id="clock ahead"
        ),
        pytest.param(
            _reading(committed=99, oldest=_record(101)), Standing.BEHIND, 1, 30.0, "", id="record came while reading"
        ),
    ],
)
def test_a_partition_is_judged_by_the_first_rule_that_fits(
    reading: PartitionReading, standing: Standing, records: int | None, seconds: float | None, note: str
) -> None:
    lag = partition_lag(reading, NOW)
    assert (lag.standing, lag.records, lag.seconds, lag.note) == (standing, records, seconds, note)


offsets = st.integers(0, 1000)
oldest = st.one_of(
    st.sampled_from(["nothing", "unread"]),
    st.builds(_record, offset=offsets, age_s=st.one_of(st.none(), st.floats(-100, 1e7))),
)
readings = st.builds(
    _reading,
    committed=st.one_of(st.none(), offsets),
    start=st.one_of(st.none(), offsets),
    end=st.one_of(st.none(), offsets),
    oldest=oldest,
    ours=st.booleans(),
)


@given(readings)
def test_lag_is_never_negative_and_is_unknown_rather_than_guessed(reading: PartitionReading) -> None:
    lag = partition_lag(reading, NOW)
    known = lag.standing in {Standing.CURRENT, Standing.BEHIND}
    assert (lag.records is not None) == known
    assert lag.records is None or lag.records >= 0
    assert lag.seconds is None or 0 <= lag.seconds < float("inf")
    if lag.standing is Standing.CURRENT:
        assert (lag.records, lag.seconds) == (0, 0.0)


@given(start=offsets, length=st.integers(1, 1000), first=offsets, more=offsets)
def test_committing_more_never_makes_the_lag_larger(start: int, length: int, first: int, more: int) -> None:
    end = start + length
    lags = [
        partition_lag(_reading(committed=committed, start=start, end=end), NOW).records
        for committed in (first, first + more)
    ]
    assert lags[0] is not None
    assert lags[1] is not None
    assert lags[1] <= lags[0] <= length


def _group(*partitions: PartitionReading) -> GroupLag:
    reading = GroupReading(group="g", state="EMPTY", members=0, partitions=partitions)
    (lag,) = group_lags(Snapshot(taken_at=NOW, groups=(reading,)))
    return lag


def test_a_group_is_as_late_as_its_oldest_record_and_as_far_behind_as_all_its_partitions() -> None:
    group = _group(
        _reading(committed=40, oldest=_record(40, age_s=5)),
        replace(_reading(committed=99, oldest=_record(99, age_s=50)), partition=1),
        replace(_reading(committed=None, start=90, oldest=_record(90, age_s=70), ours=True), partition=2),
    )
    assert (group.records, group.seconds, group.complete) == (71, 70.0, True)


@pytest.mark.parametrize(
    "unknown",
    [_reading(committed=None), replace(_reading(committed=None, start=None, end=None), exists=False)],
    ids=["no commit of another's", "no such topic"],
)
def test_where_nobody_knows_what_waits_the_rest_does_not_look_like_all_of_it(unknown: PartitionReading) -> None:
    group = _group(_reading(committed=100), replace(unknown, partition=1))
    assert (group.records, group.seconds, group.complete, group.problems) == (None, None, False, 0)
    assert (group.total.records, group.total.all_records) == (0, False)
    assert (group.total.seconds, group.total.all_seconds) == (0.0, False)


def test_a_part_that_could_not_be_read_leaves_no_total_that_looks_like_all_of_it() -> None:
    known = _reading(committed=40, oldest=_record(40, age_s=5))
    untold = replace(_reading(committed=None, problem="no coordinator"), commit_known=False, partition=1)
    unaged = replace(_reading(committed=90, problem="too slow"), partition=2)
    group = _group(known, untold)
    assert (group.records, group.seconds, group.problems) == (None, None, 1)
    assert (group.total.records, group.total.seconds) == (60, 5.0)
    group = _group(known, unaged)
    assert (group.records, group.seconds, group.problems) == (70, None, 1)
    assert group.total.seconds == 5.0


def test_a_group_without_any_known_partition_has_no_lag_rather_than_none_at_all() -> None:
    group = _group(_reading(committed=None))
    assert (group.records, group.seconds, group.complete) == (None, None, False)
    assert (group.total.records, group.total.seconds) == (None, None)
