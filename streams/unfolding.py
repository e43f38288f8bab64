"""How large an Arrow stream from somebody else becomes, told before anything is allocated for it.

A compressed buffer begins with the length that it claims to unfold to, and Arrow allocates that at once: a hundred
bytes may ask for a terabyte. So the messages are walked first; where a message's buffers lie is in its head, a
flatbuffer, of which only the few fields are read that are needed here (Arrow's format, `Message.fbs`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.ipc

_OFFSET, _VTABLE, _SLOT, _KIND = struct.Struct("<I"), struct.Struct("<i"), struct.Struct("<H"), struct.Struct("<B")
_BUFFER, _CLAIM = struct.Struct("<qq"), struct.Struct("<q")
_DICTIONARY, _BATCH = 2, 3
"""Kinds of message that carry buffers."""
_HEADER_KIND, _HEADER, _DATA, _BUFFERS, _COMPRESSION = 1, 2, 1, 2, 3
"""Numbers of fields: two of a message, one of a dictionary, two of a batch."""


def unfolded_bytes(stream: pa.Buffer) -> Iterator[int]:
    """What each buffer of the stream takes once it is read; nothing is read. Raises ArrowInvalid or struct.error for
    what is no Arrow stream."""
    for message in pa.ipc.MessageReader.open_stream(stream):
        head = message.metadata
        batch = _batch_of(head)
        if batch is not None:
            yield from _buffers(head, batch, message.body)


def _batch_of(head: pa.Buffer) -> int | None:
    """Where the batch begins in a message's head; None when the message has none."""
    (message,) = _OFFSET.unpack_from(head, 0)
    kind, header = _field(head, message, _HEADER_KIND), _follow(head, message, _HEADER)
    if kind is None or header is None:
        return None
    (number,) = _KIND.unpack_from(head, kind)
    if number == _DICTIONARY:
        return _follow(head, header, _DATA)
    return header if number == _BATCH else None


def _buffers(head: pa.Buffer, batch: int, body: pa.Buffer) -> Iterator[int]:
    compressed = _field(head, batch, _COMPRESSION) is not None
    vector = _follow(head, batch, _BUFFERS)
    if vector is None:
        return
    (count,) = _OFFSET.unpack_from(head, vector)
    for number in range(count):
        offset, size = _BUFFER.unpack_from(head, vector + _OFFSET.size + number * _BUFFER.size)
        claimed = _CLAIM.unpack_from(body, offset)[0] if compressed and size >= _CLAIM.size else size
        yield size if claimed < 0 else claimed  # -1: this one is not compressed after all


def _field(data: pa.Buffer, table: int, number: int) -> int | None:
    """Where a table's field lies; None when it is not there."""
    vtable = table - _VTABLE.unpack_from(data, table)[0]
    slot = 2 * _SLOT.size + number * _SLOT.size
    if slot >= _SLOT.unpack_from(data, vtable)[0]:
        return None
    (offset,) = _SLOT.unpack_from(data, vtable + slot)
    return table + offset if offset else None


def _follow(data: pa.Buffer, table: int, number: int) -> int | None:
    """Where the table or vector begins that a field refers to."""
    at = _field(data, table, number)
    return None if at is None else int(at + _OFFSET.unpack_from(data, at)[0])
