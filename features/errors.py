"""What can go wrong between us and the feature store, by what must be done about it."""

from __future__ import annotations

from pathlib import Path

from cosmo.runtime.errors import CosmoError, StopWorker


class FeatureFailure(CosmoError):  # noqa: N818 - its children are outcomes, named by what happened
    """Root of what this package raises, but for StoreRefused, which stops the worker."""


class StoreUnreachable(FeatureFailure):
    """Redis did not answer, or said that it cannot now (loading, failing over, out of memory). Ask again later."""

    retriable = True


class StoreRefused(StopWorker):
    """Redis answered, and will not change its mind: wrong password, wrong type, no permission."""


class DamagedRow(FeatureFailure):
    """One row cannot be read: a value was cut off, is of another type, or its key is no hash. Others can."""

    def __init__(self, view: str, key: str, why: str) -> None:
        super().__init__(
            f"The row of {key!r} in {view} cannot be read: {why}.",
            advice="Run `cosmo features rebuild`, which writes such rows again from the log.",
        )
        self.why = why


class NotApplied(FeatureFailure):
    """Redis holds no features of this project: never applied, or emptied. An answer now would be wrong in silence."""


class NoRepository(FeatureFailure):
    """There is no Feast repository in this home: never applied, or the home of another directory is meant."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"There is no Feast repository in {directory}.",
            advice="Set COSMO_HOME to the `.cosmo` of the stack that is meant (unset, it is that of the current "
            "directory), or make a repository there with `cosmo features apply`.",
        )


class StoreEmptied(FeatureFailure):
    """The store has lost its mark and its rows: what is merged into it now would pass for all that is known."""

    retriable = True


class EmptiedAgain(FeatureFailure):
    """The store was emptied while it was being rebuilt, and holds only what came after."""


class LogUnreadable(FeatureFailure):
    """What could not be read of the log of intents is missing in the store, and another registry may know it."""


class UnusableIntent(FeatureFailure):
    """A record that decodes and cannot become a feature. ``reason`` is for counting, ``detail`` for whoever sent it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
