"""How far each consumer group is behind, in records and in seconds; also for a group that has died."""

from cosmo.lag.model import GroupLag, PartitionLag, Snapshot, Standing
from cosmo.lag.reader import LagReader
from cosmo.lag.rules import group_lags

__all__ = ["GroupLag", "LagReader", "PartitionLag", "Snapshot", "Standing", "group_lags"]
