"""What can go wrong for a person at the keyboard: one sentence and an exit status."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit statuses of the `veil` command; scripts may rely on them."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    INPUT = 3
    MODEL = 4
    OUTPUT = 5
    CLOSED = 6
    INTERRUPTED = 130


class RunError(Exception):
    """A run that did not succeed. The text is one clear sentence for the person who started it."""

    def __init__(self, message: str, code: ExitCode = ExitCode.INTERNAL) -> None:
        super().__init__(message)
        self.code = code
