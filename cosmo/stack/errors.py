"""What can go wrong with the local stack, each as one sentence and one advice."""

from __future__ import annotations

from cosmo.runtime.errors import CosmoError


class StackError(CosmoError):
    """The root: a part of the local stack cannot be prepared, started, found or stopped."""


class PortTakenError(StackError):
    """Somebody else listens on a port that a part needs."""


class DiskFullError(StackError):
    """The disk of the home directory has no room for the stack's data."""


class ArtifactError(StackError):
    """A file that a part is made of (jar, model) is neither in the cache nor to be had."""


class PartFailedError(StackError):
    """A part's process ended, or did not become ready in time."""


class PartUnreachableError(StackError):
    """A part that the environment replaces by one's own does not answer."""

    retriable = True


class HomeBusyError(StackError):
    """Another process runs or changes the stack of this home directory."""
