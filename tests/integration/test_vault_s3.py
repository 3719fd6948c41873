"""The vault's store on a real S3 server, with what goes wrong there."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.vault import Expired, Missing, Unavailable, VaultSettings
from services.vault.events import Actor
from services.vault.store import RemoteStore
from tests.support.originals import (
    CAMERA,
    HOUR_US,
    START_US,
    Bus,
    expected,
    feed,
    finished,
    make_stage,
    make_vault,
    minutes,
    opened,
    pieces,
    seqs,
    stop,
    store,
)
from tests.support.s3 import BUCKET, S3Server, refusing

KIM = Actor("kim", "a test")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    made = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def on_s3(server: S3Server, folder: Path, **more: object) -> dict[str, object]:
    where = {"store": f"s3://{BUCKET}/{folder.name}", "s3_endpoint": server.url}
    return where | {"index": f"sqlite:///{folder / 'index.db'}"} | more


def test_what_goes_in_comes_out_expires_and_is_proven_gone(server: S3Server, tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path, **on_s3(server, tmp_path)), Bus()
    minutes(bus, 25)
    done = store(vault, bus)
    assert len(done) == len(bus.messages)
    parts = pieces(opened(vault))
    assert seqs(parts) == expected(START_US, range(250))
    assert all(piece.span_of(piece.units[0].unit.seq) for piece in parts)
    (purge,) = vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)
    proof = vault.purger.prove(purge.id, KIM)
    assert proof.holds, proof.checks
    assert all(not vault.store.exists(each["name"]) for each in proof.tombstones)
    with pytest.raises(Expired):
        opened(vault)


def test_a_store_keeps_gives_and_removes(server: S3Server, tmp_path: Path) -> None:
    kept = RemoteStore(VaultSettings(**on_s3(server, tmp_path)))
    kept.put("a/b.video", b"content")
    assert kept.exists("a/b.video")
    assert kept.get("a/b.video") == b"content"
    kept.put("a/b.video", b"again")
    assert kept.get("a/b.video") == b"again"
    kept.delete("a/b.video")
    kept.delete("a/b.video")
    assert not kept.exists("a/b.video")
    with pytest.raises(Missing):
        kept.get("a/b.video")


def test_a_server_that_stops_answering_costs_time_and_no_footage(server: S3Server, tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path, **on_s3(server, tmp_path, store_timeout_s=1)), Bus()
    minutes(bus, 25)
    stage = make_stage(vault)
    server.freeze()
    try:
        assert not feed(stage, bus.messages)
        time.sleep(3)
        assert not finished(stage), "nothing is acknowledged that is not stored"
    finally:
        server.thaw()
    assert sorted(stop(stage, 60)) == sorted(message.position for message in bus.messages)
    assert seqs(opened(vault)) == expected(START_US, range(250))


def test_an_access_ends_at_its_deadline(server: S3Server, tmp_path: Path) -> None:
    kept = RemoteStore(VaultSettings(**on_s3(server, tmp_path, store_timeout_s=1)))
    kept.put("warm", b"up")
    server.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            kept.put("a", b"content")
        assert time.monotonic() - began < 10
    finally:
        server.thaw()


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_server_that_refuses_is_asked_a_few_times(tmp_path: Path, status: int) -> None:
    with refusing(status) as (url, asked):
        kept = RemoteStore(
            VaultSettings(store=f"s3://{BUCKET}", s3_endpoint=url, index="sqlite://", store_timeout_s=20)
        )
        with pytest.raises(Unavailable) as refusal:
            kept.put("a", b"secret content")
    assert 1 <= len(asked) <= 16, "three tries of each layer at most"
    assert "secret" not in str(refusal.value)
    assert url not in str(refusal.value)


def test_nobody_there_is_one_sentence(tmp_path: Path) -> None:
    kept = RemoteStore(VaultSettings(store=f"s3://{BUCKET}", s3_endpoint="http://127.0.0.1:1", index="sqlite://"))
    with pytest.raises(Unavailable, match="can't be stored"):
        kept.put("a", b"content")
