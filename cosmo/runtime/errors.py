"""One root for every error that a person reads: a sentence saying what happened, and one saying what to do."""

from __future__ import annotations


class CosmoError(Exception):
    """A failure with advice. The command line prints it without a traceback (``--debug`` shows one) and exits 1.

    ``retriable`` tells a caller whether the same call may succeed later without anybody changing anything.
    """

    retriable: bool = False

    def __init__(self, what: str, *, advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what} {self.advice}".strip()


class StopWorker(CosmoError):  # noqa: N818 - an outcome for a record, named by what it does
    """The worker must exit: a bug, a corrupt schema or the dead-letter limit. What is not committed is redelivered."""
