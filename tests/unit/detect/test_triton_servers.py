"""Whose turn it is: all addresses of a name, in turn, without those that failed a moment ago."""

import socket
import time
from pathlib import Path

import pytest

from services.detect.triton_servers import TritonServers


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _first(servers: TritonServers) -> str:
    return next(iter(servers.in_turn())).address


def _names(monkeypatch: pytest.MonkeyPatch, hosts: dict[str, list[str]]) -> None:
    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if host not in hosts:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in hosts[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def _settle(servers: TritonServers, count: int) -> list[str]:
    until = time.monotonic() + 5
    while True:
        found = [server.address for server in servers.in_turn()]
        if len(found) == count:
            return sorted(found)
        assert time.monotonic() < until, found
        time.sleep(0.01)


def test_every_address_of_every_name_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    _names(monkeypatch, {"triton": ["10.0.0.1", "10.0.0.2"], "other": ["10.0.1.1"]})
    servers = TritonServers(["triton:9", "other"])
    addresses = ["10.0.0.1:9", "10.0.0.2:9", "10.0.1.1:8001"]
    assert sorted(_first(servers) for _ in range(6)) == sorted(2 * addresses)


def test_a_name_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {"triton": ["10.0.0.1"]}
    _names(monkeypatch, hosts)
    clock = Clock()
    servers = TritonServers(["triton"], clock=clock)
    (before,) = servers.in_turn()
    hosts["triton"] = ["10.0.0.1", "10.0.0.2"]
    assert _settle(servers, 1) == ["10.0.0.1:8001"]
    clock.now += 31
    assert _settle(servers, 2) == ["10.0.0.1:8001", "10.0.0.2:8001"]
    assert before in servers.in_turn()


def test_it_is_looked_up_sooner_when_a_server_fails_and_kept_when_the_name_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = {"triton": ["10.0.0.1"]}
    _names(monkeypatch, hosts)
    clock = Clock()
    servers = TritonServers(["triton"], clock=clock)
    servers.failed(next(iter(servers.in_turn())))
    hosts["triton"] = ["10.0.0.7", "10.0.0.8"]
    clock.now += 3
    assert _settle(servers, 2) == ["10.0.0.7:8001", "10.0.0.8:8001"]
    hosts.clear()
    clock.now += 31
    assert _settle(servers, 2) == ["10.0.0.7:8001", "10.0.0.8:8001"]


def test_a_name_that_leads_nowhere_yields_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    _names(monkeypatch, {})
    assert list(TritonServers(["triton"]).in_turn()) == []


def test_who_fails_is_left_out_for_longer_and_longer_then_tried_by_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    _names(monkeypatch, {"triton": ["10.0.0.1", "10.0.0.2"]})
    clock = Clock()
    servers = TritonServers(["triton"], clock=clock)
    bad = next(iter(servers.in_turn()))
    for pause in (0.5, 1, 2, 4, 4):
        servers.failed(bad)
        clock.now += pause - 0.1
        assert bad.address not in {_first(servers) for _ in range(4)}
        clock.now += 0.2
        assert [_first(servers) for _ in range(4)].count(bad.address) == 1
    servers.answered(bad)
    assert [_first(servers) for _ in range(4)].count(bad.address) == 2


def test_where_all_have_failed_they_are_asked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    _names(monkeypatch, {"triton": ["10.0.0.1", "10.0.0.2"]})
    servers = TritonServers(["triton"])
    for server in list(servers.in_turn()):
        servers.failed(server)
    assert len(list(servers.in_turn())) == 2


def test_both_kinds_of_address_of_one_name_are_one_server() -> None:
    addresses = {server.address for server in TritonServers(["localhost:9"]).in_turn()}
    assert addresses == {"127.0.0.1:9"}


def test_a_certificate_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TritonServers(["127.0.0.1"], ca_file=tmp_path / "ca.pem")
