"""Many Avro records decoded at once: their bodies become one object-container block, which is read into columns."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from polars_avro import AvroError, read_avro

from streams.avro_container import container, header
from streams.fetch.records import Spans
from streams.ingest.walk import well_formed


class NotText(Exception):  # noqa: N818 - says what the bytes are
    """Some string in the block is not UTF-8; the decoder does not tell whose."""


@dataclass(frozen=True)
class BlockReader:
    """Reads bodies that were written with one schema (parsed JSON)."""

    schema: Any

    def read(self, bodies: Spans) -> tuple[pl.DataFrame, npt.NDArray[np.bool_]]:
        """The records as columns, and for each body whether it is among them. In order. Raises `NotText`."""
        fit = well_formed(self.schema, bodies)
        good = bodies if fit.all() else bodies.take(np.flatnonzero(fit))
        try:
            return read_avro(io.BytesIO(container(self._header, len(good), good.joined()))), fit
        except (AvroError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise NotText(str(error)) from error

    @cached_property
    def _header(self) -> bytes:
        return header(self.schema)
