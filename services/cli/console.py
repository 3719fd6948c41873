"""How the command speaks: results on standard output, one clear sentence for each error on standard error."""

import errno
import functools
import os
from collections.abc import Callable
from typing import NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console

from services.embedded.errors import ExitCode, RunError
from services.policy.problems import ConfigError

EXIT_CODES = (
    "[bold]Exit codes[/]: 0 done · 1 unexpected error · 2 wrong usage or policy · 3 input unreadable · "
    "4 model missing · 5 output not writable or disk full · 6 done, but frames were closed (--strict) · 130 interrupted"
)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

out = Console()
err = Console(stderr=True)

_P = ParamSpec("_P")
_R = TypeVar("_R")


def debugging() -> bool:
    """True where VEIL_DEBUG=1 asks for tracebacks and logs."""
    return os.environ.get("VEIL_DEBUG", "") not in ("", "0")


def complain(sentence: str) -> None:
    """One error, on standard error."""
    err.print(f"[bold red]error:[/] {_escaped(sentence)}", highlight=False, soft_wrap=True)


def say(sentence: str) -> None:
    """One result, on standard output."""
    out.print(_escaped(sentence), highlight=False, soft_wrap=True)


def fail(sentence: str, code: ExitCode) -> NoReturn:
    """Ends the command with one error."""
    complain(sentence)
    raise typer.Exit(code)


def tells_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turns what a command raises into sentences and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            for problem in error.problems:
                complain(str(problem))
            raise typer.Exit(ExitCode.USAGE) from error
        except RunError as error:
            fail(str(error), error.code)
        except KeyboardInterrupt:
            fail("interrupted; nothing half-written was left", ExitCode.INTERRUPTED)
        except typer.Abort:
            fail("no answer; nothing was done", ExitCode.INTERRUPTED)
        except (typer.Exit, BrokenPipeError):
            raise
        except OSError as error:
            if debugging():
                raise
            where = f"{error.filename}: " if error.filename else ""
            code = ExitCode.OUTPUT if error.errno in _DISK_FULL else ExitCode.INTERNAL
            fail(f"{where}{(error.strerror or 'failed').lower()}", code)
        except Exception as error:  # the last stop before the person at the keyboard: no traceback unless asked for
            if debugging():
                raise
            fail(f"unexpected {type(error).__name__}; VEIL_DEBUG=1 shows where", ExitCode.INTERNAL)

    return wrapped


def _escaped(text: str) -> str:
    """Text in which square brackets mean themselves."""
    return text.replace("[", r"\[")
