"""Servers of tests, and what becomes of a test whose server can't be had on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from deploy.stack.kafka import KafkaServer
from deploy.stack.kafka_install import MissingTool, jars, java


def required() -> bool:
    """Whether every server has to be there: what can be built for it is built then."""
    return bool(os.environ.get("CI") or os.environ.get("VEIL_REQUIRE_SERVERS"))


def absent(reason: str) -> NoReturn:
    """Leaves the test out; fails it where every server has to be there."""
    if required():
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def kafka_server(folder: Path, *, secure: bool = True) -> Iterator[KafkaServer]:
    """A started broker; a secure one has TLS, users, topics and ACLs as the table says."""
    try:
        java(), jars()
    except MissingTool as missing:
        absent(str(missing))
    server = KafkaServer(folder, secure=secure)
    try:
        server.start()
        if secure:
            server.prepare()
        yield server
    finally:
        server.stop()
