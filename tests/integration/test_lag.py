"""Lag against a real broker: what a snapshot of every kind of group says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from cosmo.lag import GroupLag, LagReader, PartitionLag, Standing, group_lags
from cosmo.runtime.settings import Settings
from streams import topics
from streams.kafka.clients import client_config

pytestmark = pytest.mark.integration

WAIT_S = 30.0
AGE_S = 600


class Stack(Protocol):
    kafka_bootstrap_servers: str


@pytest.fixture
def settings(stack: Stack, topic_prefix: str) -> Settings:
    return Settings(kafka_bootstrap_servers=stack.kafka_bootstrap_servers, topic_prefix=topic_prefix)


@pytest.fixture
def make_topic(settings: Settings) -> Callable[..., str]:
    def make(name: str, partitions: int = 1, **config: str) -> str:
        topic = settings.topic_prefix + name
        dotted = {key.replace("_", "."): value for key, value in config.items()}
        admin = AdminClient(client_config(settings))
        admin.create_topics([NewTopic(topic, partitions, 1, config=dotted)])[topic].result(WAIT_S)
        return topic

    return make


def _produce(settings: Settings, topic: str, count: int, *, age_s: float = AGE_S, key: str | None = None) -> None:
    """``count`` records, the first ``age_s`` old and each following one a second younger, all in partition 0."""
    producer = Producer(client_config(settings))
    oldest_ms = int((time.time() - age_s) * 1000)
    for number in range(count):
        producer.produce(topic, b"value", key=key or f"k{number}", partition=0, timestamp=oldest_ms + number * 1000)
    assert producer.flush(WAIT_S) == 0


@contextmanager
def _member(settings: Settings, group: str, topic: str) -> Iterator[Consumer]:
    """A living member of the group that owns every partition of the topic."""
    config = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest", "client.id": "pod-1"}
    consumer = Consumer(client_config(settings) | config)
    consumer.subscribe([topic])
    stop_at = time.monotonic() + WAIT_S
    while not consumer.assignment():
        assert time.monotonic() < stop_at, "no assignment"
        consumer.poll(0.2)
    try:
        yield consumer
    finally:
        consumer.close()


def _commit(settings: Settings, group: str, topic: str, offset: int, partition: int = 0) -> None:
    consumer = Consumer(client_config(settings) | {"group.id": group, "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
    consumer.close()


def _lag(settings: Settings, group: str) -> GroupLag:
    with LagReader(settings) as reader:
        (lag,) = group_lags(reader.read([group]))
    return lag


def _only(group: GroupLag) -> PartitionLag:
    (partition,) = group.partitions
    return partition


def _is_about(seconds: float | None, expected: float) -> bool:
    return seconds is not None and expected <= seconds < expected + WAIT_S


def test_a_running_group_has_lag_in_records_and_in_seconds_and_an_owner(
    settings: Settings, make_topic: Callable[..., str]
) -> None:
    topic, group = make_topic("run"), settings.topic_prefix + "runner"
    _produce(settings, topic, 10)
    with _member(settings, group, topic) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
        lag = _lag(settings, group)
    assert (lag.state, lag.members, lag.records) == ("STABLE", 1, 6)
    assert _is_about(lag.seconds, AGE_S - 4)
    assert _only(lag).owner == "pod-1@127.0.0.1"


def test_a_dead_group_goes_on_falling_behind(settings: Settings, make_topic: Callable[..., str]) -> None:
    """A group that has stopped is when lag matters most; it must not vanish from the report."""
    topic, group = make_topic("dead"), settings.topic_prefix + "dead"
    _produce(settings, topic, 10)
    _commit(settings, group, topic, 10)
    assert (_lag(settings, group).state, _lag(settings, group).records) == ("EMPTY", 0)
    _produce(settings, topic, 5, age_s=60)
    lag = _lag(settings, group)
    assert (lag.state, lag.members, lag.records) == ("EMPTY", 0, 5)
    assert _is_about(lag.seconds, 60)


def test_groups_at_different_offsets_of_one_partition_are_each_as_late_as_their_own_record(
    settings: Settings, make_topic: Callable[..., str]
) -> None:
    topic, prefix = make_topic("shared"), settings.topic_prefix
    _produce(settings, topic, 10)
    for offset in (0, 3, 7):
        _commit(settings, f"{prefix}g{offset}", topic, offset)
    with LagReader(settings) as reader:
        lags = group_lags(reader.read([f"{prefix}g*"]))
    assert [lag.records for lag in lags] == [10, 7, 3]
    assert all(_is_about(lag.seconds, AGE_S - offset) for lag, offset in zip(lags, (0, 3, 7), strict=True))


def test_a_commit_that_the_broker_does_not_tell_is_unknown_and_hides_no_other_group(
    settings: Settings, env: dict[str, str], make_topic: Callable[..., str]
) -> None:
    """As long as a transaction is open, the broker does not tell the commit; nor does a coordinator on the move."""
    topic, prefix = make_topic("told"), settings.topic_prefix
    known, untold = f"{prefix}known", f"{prefix}untold"
    _produce(settings, topic, 10)
    for group in (known, untold):
        _commit(settings, group, topic, 4)
    with _commit_in_an_open_transaction(settings, untold, topic, 8):
        with LagReader(settings, timeout_s=4.0) as reader:
            lags = {lag.group: lag for lag in group_lags(reader.read([known, untold]))}
        command = [sys.executable, "-m", "cosmo", "lag", "--json", "--group", f"{prefix}*known", "--group", untold]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (lags[known].records, lags[known].problems) == (6, 0)
    assert _is_about(lags[known].seconds, AGE_S - 4)
    assert (_only(lags[untold]).standing, lags[untold].records) == (Standing.UNREADABLE, None)
    assert _only(lags[untold]).note.startswith("what was committed is not known: ")
    assert done.returncode == 1
    assert json.loads(done.stdout)["complete"] is False
    assert "did not answer" in done.stderr


@contextmanager
def _commit_in_an_open_transaction(settings: Settings, group: str, topic: str, offset: int) -> Iterator[None]:
    producer = Producer(client_config(settings) | {"transactional.id": group})
    with _member(settings, group, topic) as member:
        producer.init_transactions(WAIT_S)
        producer.begin_transaction()
        member_of = member.consumer_group_metadata()
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, offset)], member_of, WAIT_S)
        yield
        producer.abort_transaction(WAIT_S)


def test_a_group_that_never_committed_has_no_number(settings: Settings, make_topic: Callable[..., str]) -> None:
    topic, group = make_topic("fresh", 2), settings.topic_prefix + "fresh"
    _produce(settings, topic, 10)
    with _member(settings, group, topic):
        lag = _lag(settings, group)
    assert [one.standing for one in lag.partitions] == [Standing.NO_COMMIT, Standing.CURRENT]
    assert lag.partitions[0].note == "no commit yet; 10 in the log"
    assert lag.partitions[0].records is None
    assert (lag.records, lag.seconds, lag.complete) == (None, None, False)


def test_a_group_of_ours_that_never_committed_has_all_of_the_log_before_it(
    settings: Settings, make_topic: Callable[..., str]
) -> None:
    """It begins at the beginning; what a part has committed must not look like all of it."""
    topic, group = make_topic(topics.PAIR_COUNTS.name, 2), topics.group("sample", settings.topic_prefix)
    _produce(settings, topic, 10)
    _commit(settings, group, topic, 0, partition=1)
    lag = _lag(settings, group)
    assert [(one.standing, one.records) for one in lag.partitions] == [(Standing.BEHIND, 10), (Standing.CURRENT, 0)]
    assert lag.partitions[0].note == "no commit yet: all of the log waits"
    assert (lag.records, lag.complete) == (10, True)
    assert _is_about(lag.seconds, AGE_S)


def test_deleted_records_are_not_lag_but_are_told(settings: Settings, make_topic: Callable[..., str]) -> None:
    topic, group = make_topic("deleted"), settings.topic_prefix + "deleted"
    _produce(settings, topic, 10)
    _commit(settings, group, topic, 2)
    admin = AdminClient(client_config(settings))
    deleted = admin.delete_records([TopicPartition(topic, 0, 6)])
    [future.result(WAIT_S) for future in deleted.values()]
    partition = _only(_lag(settings, group))
    assert (partition.records, partition.deleted_unread) == (4, 4)
    assert _is_about(partition.seconds, AGE_S - 6)
    assert partition.note == "4 deleted before they were read"


def test_aborted_transactions_leave_nothing_to_read_and_so_no_lag(
    settings: Settings, make_topic: Callable[..., str]
) -> None:
    """Markers and aborted records occupy offsets, as compacted ones did; a difference of offsets would never go."""
    topic, group = make_topic("aborted"), settings.topic_prefix + "aborted"
    _produce(settings, topic, 3)
    _commit(settings, group, topic, 3)
    producer = Producer(client_config(settings) | {"transactional.id": topic})
    producer.init_transactions(WAIT_S)
    producer.begin_transaction()
    producer.produce(topic, b"never", partition=0)
    producer.flush(WAIT_S)
    producer.abort_transaction(WAIT_S)
    partition = _only(_lag(settings, group))
    assert (partition.log_end_offset or 0) > 3
    assert (partition.standing, partition.records, partition.seconds) == (Standing.CURRENT, 0, 0.0)


def test_what_an_open_transaction_holds_back_is_lag_and_is_said(
    settings: Settings, make_topic: Callable[..., str]
) -> None:
    """A broker's end for readers of committed records is where the first open transaction begins; all behind it would
    look as if it were not there."""
    topic, group = make_topic("open"), settings.topic_prefix + "open"
    _produce(settings, topic, 3)
    _commit(settings, group, topic, 3)
    producer = Producer(client_config(settings) | {"transactional.id": topic})
    producer.init_transactions(WAIT_S)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0, timestamp=int((time.time() - AGE_S) * 1000))
    producer.flush(WAIT_S)
    _produce(settings, topic, 4)
    partition = _only(_lag(settings, group))
    producer.abort_transaction(WAIT_S)
    assert (partition.standing, partition.records, partition.held_back) == (Standing.BEHIND, 5, 5)
    assert _is_about(partition.seconds, AGE_S)
    assert partition.note == "a transaction open at offset 3 holds back 5"


def test_a_compacted_topic_counts_from_the_record_that_is_left(
    settings: Settings, make_topic: Callable[..., str]
) -> None:
    topic, group = (
        make_topic(
            "compacted",
            cleanup_policy="compact",
            segment_ms="1",
            min_cleanable_dirty_ratio="0.001",
            max_compaction_lag_ms="1",
        ),
        settings.topic_prefix + "compacted",
    )
    _produce(settings, topic, 50, key="same")
    _commit(settings, group, topic, 0)
    _produce(settings, topic, 1, age_s=5, key="same")  # rolls the segment, so that the first 50 can be compacted

    def compacted() -> bool:
        return (_only(_lag(settings, group)).records or 0) < 51

    stop_at = time.monotonic() + WAIT_S
    while not compacted():
        assert time.monotonic() < stop_at, "the broker did not compact"
    partition = _only(_lag(settings, group))
    assert partition.records is not None
    assert 0 < partition.records < 51


def test_one_deleted_topic_does_not_hide_the_others(settings: Settings, make_topic: Callable[..., str]) -> None:
    kept, gone, group = make_topic("kept"), make_topic("gone"), settings.topic_prefix + "two"
    for topic in (kept, gone):
        _produce(settings, topic, 3)
        _commit(settings, group, topic, 1)
    client = AdminClient(client_config(settings))  # held: its futures fail when it is collected
    client.delete_topics([gone])[gone].result(WAIT_S)
    found = {one.topic: one for one in _lag(settings, group).partitions}
    assert found[kept].records == 2
    assert gone not in found or found[gone].records is None


def test_reading_lag_leaves_no_group_behind(settings: Settings, make_topic: Callable[..., str]) -> None:
    topic, group = make_topic("quiet"), settings.topic_prefix + "quiet"
    _produce(settings, topic, 3)
    _commit(settings, group, topic, 1)
    _lag(settings, group)
    listed = AdminClient(client_config(settings)).list_consumer_groups().result(WAIT_S).valid
    assert "unused" not in {one.group_id for one in listed}


def test_the_command_tells_of_our_groups_before_any_of_them_ran(env: dict[str, str], topic_prefix: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cosmo", "lag", "--json"], env=env, capture_output=True, text=True, check=True
    )
    groups = json.loads(done.stdout)["groups"]
    assert [group["group"] for group in groups] == [
        f"{topic_prefix}cosmo-{process}" for process in ("ingest", "sample", "infer", "materialize")
    ]
    assert {group["records"] for group in groups} == {None}


def test_brokers_that_do_not_answer_are_one_sentence(env: dict[str, str]) -> None:
    nowhere = env | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", "cosmo", "lag"], env=nowhere, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Kafka at 127.0.0.1:1 does not answer")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_group_that_no_broker_knows_is_said_not_to_be_there(env: dict[str, str], topic_prefix: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cosmo", "lag", "--group", f"{topic_prefix}nosuch*"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"There is no group {topic_prefix}nosuch*.")
