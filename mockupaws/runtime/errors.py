"""The one error tree.

PipelineError
├── RetriableError            the same call may succeed later: back off and try again
│   └── (leaves beside what raises them)
└── PermanentError            the same call fails again: refuse, dead-letter or stop
    └── SettingsError         a setting is missing, unknown or malformed

A message says what happened and what to do about it, and never quotes a payload, key or token.
"""

from __future__ import annotations


def place_of(error: BaseException) -> str:
    """`module:line` where the error was raised, "" if it wasn't: for logs, where its text might quote a payload."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"


class PipelineError(Exception):
    """Root of the errors this project raises."""


class RetriableError(PipelineError):
    """The same call may succeed later."""


class PermanentError(PipelineError):
    """The same call would fail again."""


class SettingsError(PermanentError):
    """A setting is missing, unknown or malformed."""
