"""Sends events from lines of text: reads them, says which are refused and why, and confirms the rest.

from cosmo.produce import numbered, send
summary = send(numbered(lines), topic="query-purchase", settings=settings(), progress=show)
"""

from cosmo.produce.formats import Format
from cosmo.produce.lines import Line, numbered, read
from cosmo.produce.outcomes import Refusal
from cosmo.produce.refused_file import RefusedFiles
from cosmo.produce.sending import INPUTS, send
from cosmo.produce.summary import Summary
from cosmo.produce.ubi.actions import Actions

__all__ = ["INPUTS", "Actions", "Format", "Line", "Refusal", "RefusedFiles", "Summary", "numbered", "read", "send"]
