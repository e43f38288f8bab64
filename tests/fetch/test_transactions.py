"""What a producer has aborted is left out; nothing else is, and every offset is passed over."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from streams.fetch.batches import parse, split
from streams.fetch.records import RawRecord
from streams.fetch.transactions import committed
from tests.fetch.batch_examples import CONTROL, TRANSACTIONAL, batch, by, changed

MARKER = {False: struct.pack(">hh", 0, 0), True: struct.pack(">hh", 0, 1)}
"""Keys of the control records that say whether a transaction was committed."""


@dataclass
class Log:
    """A partition as producers with and without transactions write it, and a broker as it answers."""

    batches: list[tuple[int, bytes]] = field(default_factory=list)
    end: int = 0
    open: dict[int, int] = field(default_factory=dict)
    """The first offset of each producer's transaction."""
    pending: dict[int, list[RawRecord]] = field(default_factory=dict)
    readable: list[RawRecord] = field(default_factory=list)
    ended: list[tuple[int, int, int]] = field(default_factory=list)
    """Producer, first offset and marker of what was aborted."""

    def write(self, producer: int, records: int) -> None:
        """Producers of even ids use transactions."""
        held = [RawRecord(self.end + number, 0, None, b"%d" % producer) for number in range(records)]
        transactional = producer % 2 == 0
        built = by(changed(batch(held), attributes=TRANSACTIONAL if transactional else 0), producer)
        self._append(built, records)
        if transactional:
            self.open.setdefault(producer, held[0].offset)
            self.pending.setdefault(producer, []).extend(held)
        else:
            self.readable += held

    def finish(self, producer: int, *, commit: bool) -> None:
        """A marker may also come where the producer has written nothing."""
        first, held = self.open.pop(producer, self.end), self.pending.pop(producer, [])
        if commit:
            self.readable += held
        elif held:
            self.ended.append((producer, first, self.end))
        marker = batch([RawRecord(self.end, 0, MARKER[commit], b"")])
        self._append(by(changed(marker, attributes=CONTROL | TRANSACTIONAL), producer), 1)

    def _append(self, built: bytes, records: int) -> None:
        self.batches.append((self.end + records, built))
        self.end += records

    def answer(self, offset: int) -> tuple[bytes, list[tuple[int, int]]]:
        """The batches from the one of an offset to the first that is open, and the aborted transactions among them."""
        stable = min(self.open.values(), default=self.end)
        sent = b"".join(built for behind, built in self.batches if offset < behind <= stable)
        return sent, [
            (producer, first) for producer, first, marker in self.ended if marker >= offset and first < stable
        ]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 4), st.integers(1, 3)),
        st.tuples(st.just("finish"), st.sampled_from([2, 4]), st.booleans()),
    ),
    max_size=20,
)


@given(steps, st.integers(0, 40))
def test_what_is_read_from_any_offset_is_what_was_committed(
    script: list[tuple[str, int, int | bool]], offset: int
) -> None:
    log = Log()
    for step, producer, number in script:
        if step == "write":
            log.write(producer, int(number))
        else:
            log.finish(producer, commit=bool(number))
    data, aborted = log.answer(offset)
    batches = list(committed(split(data), aborted))
    stable = min(log.open.values(), default=log.end)
    due = sorted(one.offset for one in log.readable if offset <= one.offset < stable)
    assert [record.offset for record in parse(batches, offset)] == due
    assert [one.next_offset for one in batches] == [one.next_offset for one in split(data)]
