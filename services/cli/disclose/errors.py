"""Turns what disclosure and vault say into sentences and an exit code."""

from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec

from services.cli.console import fail, tells_errors
from services.embedded.errors import ExitCode, RunError

_P = ParamSpec("_P")


def tells(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turns what disclosure and vault say into sentences and an exit code."""

    @tells_errors
    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        from services.disclosure.errors import DisclosureError, Unavailable

        try:
            command(*args, **kwargs)
        except Unavailable as error:
            raise RunError(sentence(error), ExitCode.INPUT) from error
        except DisclosureError as error:
            raise RunError(sentence(error), ExitCode.USAGE) from error
        except ModuleNotFoundError as error:
            _lacks(error)
        except _of_the_vault() as error:
            raise RunError(sentence(error), ExitCode.INPUT) from error

    return wrapped


def sentence(error: Exception) -> str:
    """As other errors of the command: without a full stop."""
    return str(error).removesuffix(".")


def _of_the_vault() -> tuple[type[Exception], ...]:
    try:
        from services.vault.errors import VaultError
    except ModuleNotFoundError:
        return ()
    return (VaultError,)


def _lacks(error: ModuleNotFoundError) -> NoReturn:
    name = error.name or ""
    fail(f"disclosure needs the package {name.partition('.')[0]}: pip install 'veil[vault]'", ExitCode.USAGE)
