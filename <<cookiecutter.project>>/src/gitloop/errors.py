"""The two ways in which gitloop says no, and the exit code of each.

A message is one line a finding: what (file, column or key), which rule, how to mend it.
"""

from __future__ import annotations


class GitloopError(Exception):
    """Base of every error that is shown without a traceback."""

    exit_code = 2


class InputError(GitloopError):
    """The input or the configuration is wrong (exit code 2)."""

    exit_code = 2


class Refused(GitloopError):
    """A gate or a check says no (exit code 1)."""

    exit_code = 1
