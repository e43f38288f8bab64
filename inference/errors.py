"""What can go wrong between us and a model server, by what must be done about it.

Three are kept apart, because each asks for something else: a server that does not answer is asked again for ever
(``ModelUnavailable``); a prompt that a working server refuses goes to the dead letters alone (``PromptRefused``); an
answer that does not fit the question is asked for again, and goes to the dead letters when it stays so (``BadAnswer``).
"""

from __future__ import annotations

from cosmo.runtime.errors import CosmoError


class InferenceError(CosmoError):
    """Root of what this package raises."""


class ModelUnavailable(InferenceError):  # noqa: N818 - an outcome, named by what it says
    """The server cannot be reached, is overloaded, or does not know us. Says nothing about the prompts."""

    retriable = True


class ModelSlow(ModelUnavailable):
    """The answer did not come before the batch's deadline; a smaller batch may be in time."""


class ModelFailed(ModelUnavailable):
    """The server answered 500: it works, and one of the prompts may be what breaks it."""


class PromptRefused(InferenceError):  # noqa: N818 - an outcome, named by what it says
    """The server will not take the request, now or later (400, 413, 422): too long, or not text that it can read."""


class BadAnswer(InferenceError):  # noqa: N818 - an outcome, named by what it says
    """The answer cannot be matched to the prompts: not JSON, too few choices, a choice without its text or scores."""

    retriable = True
