"""What can go wrong between us and a model server, by what must be done about it.

Two things are kept apart. A server that does not answer says nothing about the prompts: they are asked again for ever
(``ModelUnavailable``). Everything else may lie in one of the prompts (``Suspect``): when the server shows that it works
otherwise, the batch is halved until the prompt that it lies in stands alone, and that one goes to the dead letters.
"""

from __future__ import annotations

from cosmo.runtime.errors import CosmoError


class InferenceError(CosmoError):
    """Root of what this package raises."""


class ModelUnavailable(InferenceError):  # noqa: N818 - an outcome, named by what it says
    """The server cannot be reached, is loading or overloaded, or does not know us. Says nothing about the prompts."""

    retriable = True


class Suspect(InferenceError):  # noqa: N818 - an outcome, named by what it says
    """One of the prompts may be to blame. ``reason`` names it in dead letters and metrics. ``tries`` is how often a
    batch may fail before it is halved, ``tries_alone`` how often one prompt may before it is given up."""

    retriable = True
    reason = "prompt_failed"
    tries = 2
    tries_alone = 3


class PromptRefused(Suspect):
    """The server will not take the request (400, 413, 422): a prompt too long, or text that it cannot read."""

    retriable = False
    reason = "prompt_refused"
    tries = tries_alone = 1


class ModelFailed(Suspect):
    """The server answered 500, or broke the connection while it was at work."""

    reason = "prompt_breaks_model"


class ModelSlow(Suspect):
    """The answer did not come before the batch's deadline; a smaller batch may be in time."""

    reason = "prompt_too_slow"
    tries = 1


class BadAnswer(Suspect):
    """The answer cannot be matched to the prompts: not JSON, too few choices, a choice without its text or scores."""

    reason = "bad_answer"


class Unanswerable(InferenceError):  # noqa: N818 - an outcome, named by what it says
    """This prompt, asked alone, failed as often as its error allows, while the server answered others."""

    def __init__(self, cause: Suspect) -> None:
        super().__init__(cause.what, advice=cause.advice)
        self.reason = cause.reason
