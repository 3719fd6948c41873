"""Where segments lie: a folder, or whatever fsspec speaks to, S3 first of all."""

import asyncio
import errno
import functools
import os
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from services.vault.errors import Full, Missing, Unavailable
from services.vault.settings import VaultSettings

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SCHEMES = ("file://", "local://")
_ATTEMPTS = 3
_CONNECT_S = 5

_R = TypeVar("_R")


class Store(Protocol):
    """Files by name. Calls come from several threads, keep a deadline, and raise Unavailable or Full."""

    def put(self, name: str, content: bytes) -> None:
        """Stores a file; it is whole and durable once this returns, and not there under its name before."""

    def get(self, name: str) -> bytes:
        """Its content. Raises Missing."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""

    def delete(self, name: str) -> None:
        """Removes it; does nothing where it is gone already."""


def make_store(settings: VaultSettings) -> Store:
    """The store of these settings. Raises Unavailable where it can't be used at all."""
    folder = folder_of(settings.store)
    if folder is not None:
        return FolderStore(folder, settings.keep_free_mb << 20)
    return RemoteStore(settings)


def folder_of(address: str) -> Path | None:
    """The folder that an address means; None for every other store."""
    for scheme in _SCHEMES:
        if address.startswith(scheme):
            return Path(address.removeprefix(scheme))
    return None if "://" in address else Path(address)


def _tells(action: str) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """Turns what the operating system says into the vault's errors."""

    def decorated(method: Callable[..., _R]) -> Callable[..., _R]:
        @functools.wraps(method)
        def wrapped(*args: Any, **kwargs: Any) -> _R:
            try:
                return method(*args, **kwargs)
            except OSError as error:
                if error.errno in _FULL:
                    raise Full("The disk of the vault is full.") from None
                raise Unavailable(f"A segment can't be {action} ({error.strerror or type(error).__name__}).") from None

        return wrapped

    return decorated


class FolderStore:
    """A folder, readable by its owner only.

    Args:
        folder: made if need be.
        keep_free: bytes that stay free on its disk.
    """

    def __init__(self, folder: Path, keep_free: int = 0) -> None:
        self._folder, self._keep_free = folder, keep_free
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"{folder}: the vault's folder can't be used ({error.strerror}).") from None

    @_tells("stored")
    def put(self, name: str, content: bytes) -> None:
        """Under another name until it is on the disk whole."""
        file = self._folder / name
        self._make(file.parent)
        if shutil.disk_usage(file.parent).free < self._keep_free + len(content):
            raise Full("The disk of the vault is full.")
        part = file.with_name(f".{file.name}.part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(file)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        _settle(file.parent)

    @_tells("read")
    def get(self, name: str) -> bytes:
        """Reads it."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise Missing("A segment's file is not there.") from None

    @_tells("looked for")
    def exists(self, name: str) -> bool:
        """Looks for it."""
        return (self._folder / name).exists()

    @_tells("removed")
    def delete(self, name: str) -> None:
        """Removes it, and what a crash left of it half written."""
        file = self._folder / name
        if not file.parent.exists():
            return
        for each in (file, file.with_name(f".{file.name}.part")):
            each.unlink(missing_ok=True)
        _settle(file.parent)

    def _make(self, folder: Path) -> None:
        if folder.exists():
            return
        self._make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _settle(folder.parent)


class RemoteStore:
    """A store that fsspec speaks to. What may be read again or written again is tried three times.

    Args:
        settings: address, and how long one access may take with all its tries.
    """

    def __init__(self, settings: VaultSettings) -> None:
        self._timeout_s = settings.store_timeout_s
        try:
            # Here, because a vault in a folder does without them.
            import fsspec
            from fsspec.asyn import sync

            self._sync = sync
            self._files, root = fsspec.core.url_to_fs(settings.store, **_options(settings))
        except ImportError as error:
            package = (error.name or "").partition(".")[0]
            raise Unavailable(f"{settings.store} needs the package {package}: pip install 'veil[vault-s3]'.") from None
        except ValueError as error:
            raise Unavailable(f"{settings.store}: {error}.") from None
        self._root = root.rstrip("/")
        self._one = threading.Lock()

    def put(self, name: str, content: bytes) -> None:
        """One request: S3 shows a file when it is whole, and says so when it is durable."""
        self._call("stored", "pipe_file", self._path(name), content)

    def get(self, name: str) -> bytes:
        """Reads it; never out of a cache."""
        content: bytes = self._call("read", "cat_file", self._path(name))
        return content

    def exists(self, name: str) -> bool:
        """Asks the server, not a listing that was read before."""
        try:
            self._call("looked for", "info", self._path(name), refresh=True)
        except Missing:
            return False
        return True

    def delete(self, name: str) -> None:
        """S3 says yes to what is gone already; others need asking."""
        try:
            self._call("removed", "rm_file", self._path(name))
        except Missing:
            return

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _call(self, action: str, verb: str, *args: Any, **kwargs: Any) -> Any:
        try:
            if not self._files.async_impl:
                kwargs.pop("refresh", None)
                # Files that are not made for several threads get one at a time.
                with self._one:
                    return getattr(self._files, verb)(*args, **kwargs)
            method = getattr(self._files, f"_{verb}")
            return self._sync(self._files.loop, self._within, method, *args, **kwargs)
        except FileNotFoundError:
            raise Missing("A segment's file is not there.") from None
        except TimeoutError:
            raise Unavailable(f"A segment was not {action} within {self._timeout_s:g} s.") from None
        except Exception as error:  # noqa: BLE001, every client has errors of its own, and all mean: not now
            if getattr(error, "errno", None) in _FULL:
                raise Full("The vault's store is full.") from None
            raise Unavailable(f"A segment can't be {action} ({type(error).__name__}).") from None

    async def _within(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The deadline ends the request itself, not only the waiting for it."""
        return await asyncio.wait_for(method(*args, **kwargs), self._timeout_s)


def _options(settings: VaultSettings) -> dict[str, Any]:
    if not settings.store.startswith(("s3://", "s3a://")):
        return {}
    client = {"endpoint_url": settings.s3_endpoint, "region_name": settings.s3_region}
    return {
        # No listing is ever asked for, so none can be out of date.
        "use_listings_cache": False,
        "client_kwargs": {key: value for key, value in client.items() if value},
        "config_kwargs": {
            "connect_timeout": min(_CONNECT_S, settings.store_timeout_s),
            "read_timeout": settings.store_timeout_s,
            "retries": {"max_attempts": _ATTEMPTS, "mode": "standard"},
        },
    }


def new_name(camera_id: str, at: str, kind: str) -> str:
    """A name that no other segment ever has. It tells camera, hour and kind, and nothing of what is in it."""
    return f"{camera_id}/{at}/{uuid.uuid4().hex}.{kind}"


def _settle(folder: Path) -> None:
    """Makes what happened in the folder outlast a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
