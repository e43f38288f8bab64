"""What became of every event, read from the logs after the storm, and compared with what should have."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import polars as pl

from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import BY_TOPIC, BehaviorPair, PairCounts
from schemas.registry import Registry
from streams import topics
from streams.blocks import TOTALS_HEAD, FactAction
from streams.kafka.dead_letters import PREFIX
from streams.kafka.reading import LogRecord, read_to_end
from streams.state.partition import PartitionState
from streams.state.replay import Replay
from tests.faults.expected import Expected, by_partition, level
from tests.faults.stream import PARTITIONS
from tests.faults.world import Fact

R = TypeVar("R")
SHOWN = 20


@dataclass
class Account:
    """Reads once what it needs, when it is first asked; each check returns its differences, one line each."""

    settings: Settings
    registry: Registry
    expected: Expected

    def __post_init__(self) -> None:
        self.replay = Replay(self.settings, self.registry)

    @cached_property
    def states(self) -> list[PartitionState]:
        """The durable state: segments, and the blocks from the committed offset on."""
        return [self.replay.durable(number) for number in range(PARTITIONS)]

    @property
    def checks(self) -> Sequence[Callable[[], list[str]]]:
        """All of them."""
        return (
            self.every_refused_event_is_a_dead_letter_and_nothing_else_is,
            self.every_valid_event_is_counted_and_nothing_else_is,
            self.state_equals_that_of_an_undisturbed_run,
            self.every_qualifying_pair_was_released_and_none_from_nowhere,
        )

    def everything_is_out(self) -> bool:
        """Whether every pair that qualifies has been released at its final level, as far as the log goes now."""
        self.__dict__.pop("pairs", None)
        released = {(pair.pair_id, level(pair.support)) for pair in self.pairs}
        return all((pair_id, level(pair.support)) in released for pair_id, pair in self.expected.pairs.items())

    def every_refused_event_is_a_dead_letter_and_nothing_else_is(self) -> list[str]:
        """By key: byte for byte, with the reason that it should have. Topics of blocks, pairs and intents have none."""
        differences: list[str] = []
        found = {record.key: record for topic in topics.CONSUMED["ingest"] for record in self._dlq(topic)}
        for key, event in self.expected.refused.items():
            letter = found.pop(key, None)
            if letter is None:
                differences.append(f"{key!r} ({event.reason}) is not among the dead letters")
            elif (letter.value, _reason(letter)) != (event.value, event.reason):
                differences.append(f"{key!r} is a dead letter for {_reason(letter)}, expected {event.reason}")
        differences += [
            f"{key!r} is a dead letter ({_reason(letter)}) and should count" for key, letter in found.items()
        ]
        later = {topic.name for process, read in topics.CONSUMED.items() if process != "ingest" for topic in read}
        for topic in topics.ALL:
            if topic.name in later:
                differences += [f"{topic.dlq} holds {record.key!r}" for record in self._dlq(topic)]
        return differences

    def every_valid_event_is_counted_and_nothing_else_is(self) -> list[str]:
        """Shoppers' facts of the durable state against those of the plain reckoning; then event by event."""
        differences: list[str] = []
        wanted = by_partition(self.expected.facts, PARTITIONS)
        found = {number: _facts(state) for number, state in enumerate(self.states)}
        for number in range(PARTITIONS):
            differences += [f"partition {number} lacks {fact}" for fact in wanted[number] - found[number]]
            differences += [f"partition {number} has {fact} from nowhere" for fact in found[number] - wanted[number]]
        present = {
            (head, other, action, session) for facts in found.values() for head, other, _, action, session in facts
        }
        for event in self.expected.events:
            if any((head, other, action, session) not in present for head, other, _, action, session in event.facts):
                differences.append(f"event {event.key!r} is not counted")
        return differences

    def state_equals_that_of_an_undisturbed_run(self) -> list[str]:
        """Fingerprints of what is durable, of the union of all blocks, and of the run without faults."""
        durable = {number: state.fingerprint() for number, state in enumerate(self.states)}
        whole = self.replay.fingerprints(self.replay.whole)
        return [
            f"partition {number}: durable {durable[number]}, log {whole[number]}, expected {wanted}"
            for number, wanted in self.expected.fingerprints.items()
            if not durable[number] == whole[number] == wanted
        ]

    def every_qualifying_pair_was_released_and_none_from_nowhere(self) -> list[str]:
        """At its final level; and what was ever released has the support that the events give it, at most."""
        released: dict[str, int] = defaultdict(lambda: -1)
        differences: list[str] = []
        for pair in self.pairs:
            released[pair.pair_id] = max(released[pair.pair_id], level(pair.support))
            if pair.support > self.expected.support(pair):
                differences.append(f"{_named(pair)} claims {pair.support} sessions of {self.expected.support(pair)}")
        for pair_id, pair in self.expected.pairs.items():
            if released[pair_id] != level(pair.support):
                differences.append(
                    f"{_named(pair)} was released at {released[pair_id]}, expected {level(pair.support)}"
                )
        return differences

    @cached_property
    def pairs(self) -> list[BehaviorPair]:
        return list(self.records(topics.BEHAVIOR_PAIRS, BehaviorPair))

    def redelivered(self) -> Mapping[str, int]:
        """Records that a worker was given more than once, as far as what it wrote tells."""
        pairs = [(pair.pair_id, pair.support) for pair in self.pairs]
        return {"ingest": self._events_again(), "pairs": len(pairs) - len(set(pairs))}

    def records(self, topic: topics.Topic, kind: type[R]) -> Iterator[R]:
        """Everything in a topic, decoded."""
        assert BY_TOPIC[topic.name] is kind
        codec: Codec[Any] = Codec(topic.name, kind, self.registry)
        for record in self._read(topic.name):
            if record.value is not None:
                yield codec.decode(record.value, record.headers)

    def _events_again(self) -> int:
        """A fetch makes at most one block for each target; ranges of offsets that overlap were read again."""
        read: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
        seen: set[tuple[str, int, int, int]] = set()
        for block in self.records(topics.PAIR_COUNTS, PairCounts):
            fetch = (block.source_topic, block.source_partition, block.first_offset, block.last_offset)
            if block.source_topic.endswith(topics.PAIR_COUNTS.name) or fetch in seen:
                continue  # vouchers; or another target of the same fetch
            seen.add(fetch)
            read[fetch[:2]].update(range(block.first_offset, block.last_offset + 1))
        return sum(times - 1 for offsets in read.values() for times in offsets.values())

    def _dlq(self, topic: topics.Topic) -> Iterator[LogRecord]:
        return self._read(topic.dlq)

    def _read(self, name: str) -> Iterator[LogRecord]:
        for number in range(PARTITIONS):
            yield from read_to_end(self.settings, self.settings.topic_prefix + name, number)


def _facts(state: PartitionState) -> frozenset[Fact]:
    """Shoppers' facts, without the stream's totals."""
    rows = state.snapshot("facts").filter((pl.col("action") < FactAction.VOUCHER) & (pl.col("head") != TOTALS_HEAD))
    return frozenset(rows.select("head", "other", "bucket", "action", "session").iter_rows())


def _reason(letter: LogRecord) -> str:
    return dict(letter.headers).get(f"{PREFIX}reason", b"").decode()  # type: ignore[union-attr]  # ours has a text


def _named(pair: BehaviorPair) -> str:
    return f"{pair.query or ''} {' + '.join(product.product_id for product in pair.products)}".strip()
