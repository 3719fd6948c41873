"""What keys say of themselves: how old, and never which."""

import math
import os
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import REGISTRY, generate_latest

from services.envelope import KeyFolder, Sealer
from services.envelope.metrics import watch_data_keys, watch_keys
from tests.support.keys import add_key
from tests.unit.envelope.test_envelope import _PLACE, Clock, CountingKeys


def gauge(name: str) -> float:
    found = REGISTRY.get_sample_value(name)
    assert found is not None
    return found


def data_key_age() -> float:
    return gauge("veil_keys_data_key_age_seconds")


def key_created() -> float:
    return gauge("veil_keys_encryption_key_created_timestamp_seconds")


def test_the_oldest_data_key_in_use_counts(tmp_path: Path) -> None:
    add_key(tmp_path, "2024")
    clock = Clock()
    keys = CountingKeys(tmp_path)
    sealer = Sealer(keys, 3600, clock=clock)
    watch_data_keys(sealer)
    assert data_key_age() == 0
    sealer.seal("gate", _PLACE, b"x")
    clock.now += 50
    sealer.seal("hall", _PLACE, b"x")
    assert data_key_age() == 50
    clock.now += 20
    assert data_key_age() == 20, "the gate has been silent for more than a minute"
    keys.away = True
    clock.now += 7200
    sealer.seal("hall", _PLACE, b"x")
    assert data_key_age() == 7220, "a key that could not be renewed is used on, and gets old"


def test_the_key_encryption_key_is_as_old_as_its_name_or_its_file(tmp_path: Path) -> None:
    watch_keys(KeyFolder(tmp_path))
    assert math.isnan(key_created()), "there is none"
    add_key(tmp_path, "2024")
    os.utime(tmp_path / "2024.key", (0, 1_700_000_000))
    assert key_created() == 1_700_000_000
    name = KeyFolder(tmp_path).create()
    os.utime(tmp_path / f"{name}.key", (0, 1_700_000_000))
    assert abs(key_created() - datetime.now(UTC).timestamp()) < 60, "a file that was copied is younger than its key"
    assert name.encode() not in generate_latest()
