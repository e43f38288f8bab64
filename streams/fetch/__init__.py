"""A fetch is the unit of work: Faust delivers each fetch of a partition as one event; the ledger commits it whole."""

from streams.fetch.handler import Fetch, Handler
from streams.fetch.records import RawRecord

__all__ = ["Fetch", "Handler", "RawRecord"]
