"""Which processes to look at: those of a stack, or metrics addresses given by hand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


class NoTargets(Exception):
    """It is not known what to look at; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """One process and the address of its metrics."""

    name: str
    url: str


def from_urls(urls: Sequence[str]) -> tuple[Target, ...]:
    """Targets named by host and port. Raises NoTargets on what is no address."""
    return tuple(Target(_host_of(url), url) for url in dict.fromkeys(urls))


def from_stack(path: Path) -> tuple[Target, ...]:
    """The services in a stack.json. Raises NoTargets."""
    try:
        services = json.loads(path.read_text())["services"]
        return tuple(Target(str(each["name"]), str(each["metrics"])) for each in services)
    except FileNotFoundError:
        raise NoTargets(f"{path}: no such file; `make stack` starts a stack, --metrics URL names services") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoTargets(f"{path}: not the stack.json of a stack ({type(error).__name__})") from error


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise NoTargets(f"{url}: not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoTargets(f"{url}: not an address such as http://127.0.0.1:9100/metrics")
    return f"{parts.hostname}{port}"
