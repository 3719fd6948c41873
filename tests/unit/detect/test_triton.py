"""The Triton home: answers find their pictures, and whatever a server does, a call ends in time with its reason."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tritonclient.grpc import service_pb2 as triton

from services.detect.interface import DetectorError
from services.detect.triton import ServerGone, TritonSession, WrongModel
from services.detect.triton_servers import TritonServers
from tests.support.fake_triton import FakeTriton, serving

_PICTURE = np.full((4, 6, 3), 7, np.uint8)


def _session(*addresses: str, stamp: str = "1+abc") -> TritonSession:
    return TritonSession(TritonServers(addresses), "net", stamp)


def _ask(session: TritonSession, pictures: Sequence[np.ndarray] = (_PICTURE,), timeout_s: float = 5.0) -> list[float]:
    return [float(tensor[0]) for (tensor,) in session.run_each(("out",), pictures, timeout_s)]


def test_pictures_of_one_shape_travel_together_and_every_answer_finds_its_own() -> None:
    fake = FakeTriton()
    pictures = [np.full((4 + i % 2, 6, 3), i, np.uint8) for i in range(19)]
    with serving(fake) as address:
        assert _ask(_session(address), pictures) == list(range(19))
    assert sorted(fake.shapes) == [(1, 5, 6, 3), (2, 4, 6, 3), (8, 4, 6, 3), (8, 5, 6, 3)]


def test_a_picture_that_is_a_view_is_sent_as_it_looks() -> None:
    wide = np.arange(2 * 8 * 3, dtype=np.uint8).reshape(2, 8, 3)
    with serving(FakeTriton()) as address:
        assert _ask(_session(address), [wide[:, ::-2]]) == [pytest.approx(wide[:, ::-2].mean())]


def test_pictures_of_full_hd_pass() -> None:
    pictures = [np.full((1080, 1920, 3), i, np.uint8) for i in range(2)]
    with serving(FakeTriton()) as address:
        assert _ask(_session(address), pictures) == [0, 1]


def test_the_server_is_told_how_long_a_request_may_wait() -> None:
    fake = FakeTriton()
    with serving(fake) as address:
        _ask(_session(address), timeout_s=2.0)
    (timeout_us,) = fake.timeouts_us
    assert 1_000_000 < timeout_us < 2_000_000


def test_a_slow_server_is_given_up_at_the_deadline() -> None:
    fake = FakeTriton()
    with serving(fake) as address:
        session = _session(address)
        _ask(session)
        fake.delay_s = 1.0
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="did not answer in time"):
            _ask(session, timeout_s=0.2)
        assert time.monotonic() - began < 0.4


def test_the_deadline_holds_for_all_pictures_together() -> None:
    fake = FakeTriton()
    pictures = [np.zeros((4, width, 3), np.uint8) for width in range(1, 6)]
    with serving(fake) as address:
        session = _session(address)
        _ask(session)
        fake.delay_s = 0.15
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            _ask(session, pictures, timeout_s=0.4)
        assert time.monotonic() - began < 0.6


def test_a_server_that_is_gone_fails_at_once_and_is_used_again_when_it_is_back() -> None:
    fake = FakeTriton()
    with serving(fake) as address:
        session = _session(address)
        _ask(session)
    began = time.monotonic()
    with pytest.raises(ServerGone, match="can't be reached"):
        _ask(session)
    assert time.monotonic() - began < 1
    with serving(fake, address):
        until = time.monotonic() + 5
        while True:
            try:
                assert _ask(session) == [7]
                break
            except ServerGone:
                assert time.monotonic() < until
                time.sleep(0.05)


def test_a_call_goes_to_the_next_server_when_one_is_gone() -> None:
    left, right = FakeTriton(), FakeTriton()
    with serving(right) as there:
        with serving(left) as here:
            session = _session(here, there)
            for _ in range(6):
                _ask(session)
            assert len(left.shapes) == len(right.shapes) == 3
        for _ in range(6):
            assert _ask(session) == [7]
        assert len(right.shapes) == 9


def test_a_server_that_hangs_costs_one_call_and_is_then_left_out() -> None:
    left, right = FakeTriton(), FakeTriton()
    with serving(left) as here, serving(right) as there:
        session = _session(here, there)
        for _ in range(2):
            _ask(session)
        left.delay_s = 1.0
        late = 0
        for _ in range(10):
            try:
                _ask(session, timeout_s=0.3)
            except TimeoutError:
                late += 1
        assert late == 1


def test_another_model_is_refused_and_pictures_never_get_there() -> None:
    fake = FakeTriton(stamp="1+other")
    with serving(fake) as address:
        with pytest.raises(WrongModel, match=r"serves net 1\+other, and not 1\+abc"):
            _session(address).check()
        with pytest.raises(WrongModel):
            _ask(_session(address))
    assert not fake.shapes


def test_a_server_with_the_right_model_is_taken_where_another_has_the_wrong_one() -> None:
    with serving(FakeTriton(stamp="2+new")) as new, serving(FakeTriton()) as old:
        session = _session(new, old)
        session.check()
        assert _ask(session) == [7]


def test_the_stamp_is_asked_for_again_after_a_failure_only() -> None:
    fake = FakeTriton()
    with serving(fake) as address:
        session = _session(address)
        for _ in range(5):
            _ask(session)
        assert fake.checks == 1
        fake.error = (grpc.StatusCode.INTERNAL, "")
        with pytest.raises(DetectorError):
            _ask(session)
        fake.error, fake.stamp = None, "1+swapped"
        with pytest.raises(WrongModel):
            _ask(session)


@pytest.mark.parametrize(
    ("code", "text", "kind", "why"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Request timeout expired", TimeoutError, "rejected"),
        (
            grpc.StatusCode.UNAVAILABLE,
            "[request id: <id_unknown>] Exceeds maximum queue size",
            DetectorError,
            "full queue",
        ),
        (grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'net' is not found", DetectorError, "NOT_FOUND"),
        (grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape", DetectorError, "INVALID_ARGUMENT"),
        (grpc.StatusCode.INTERNAL, "pixels 12 34 56", DetectorError, "INTERNAL"),
    ],
)
def test_i3_a_refusal_is_told_in_our_own_words(
    code: grpc.StatusCode, text: str, kind: type[Exception], why: str
) -> None:
    fake = FakeTriton()
    fake.error = code, text
    with serving(fake) as address, pytest.raises(kind, match=why) as caught:
        _ask(_session(address))
    assert text not in str(caught.value)
    assert address in str(caught.value)


def _rename(response: triton.ModelInferResponse) -> None:
    response.outputs[0].name = "other"


def _other_type(response: triton.ModelInferResponse) -> None:
    response.outputs[0].datatype = "FP16"


def _one_more(response: triton.ModelInferResponse) -> None:
    response.outputs[0].shape[0] += 1


def _no_shape(response: triton.ModelInferResponse) -> None:
    del response.outputs[0].shape[:]


def _too_short(response: triton.ModelInferResponse) -> None:
    response.raw_output_contents[0] = response.raw_output_contents[0][:-1]


def _no_content(response: triton.ModelInferResponse) -> None:
    del response.raw_output_contents[:]


@pytest.mark.parametrize("change", [_rename, _other_type, _one_more, _no_shape, _too_short, _no_content])
def test_an_answer_that_is_not_what_was_asked_for_is_a_failure(
    change: Callable[[triton.ModelInferResponse], None],
) -> None:
    fake = FakeTriton()
    fake.change = change
    with serving(fake) as address, pytest.raises(DetectorError, match="Triton answered"):
        _ask(_session(address))


def _certificate() -> tuple[bytes, bytes]:
    """Key and certificate of a server named localhost, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, certificate.public_bytes(serialization.Encoding.PEM)


def test_i4_with_a_certificate_the_connection_is_encrypted_and_the_server_verified(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.pem", tmp_path / "wrong.pem"
    pair = _certificate()
    right.write_bytes(pair[1])
    wrong.write_bytes(_certificate()[1])
    with serving(FakeTriton(), "localhost:0", [pair]) as address:
        assert _ask(TritonSession(TritonServers([address], right), "net", "1+abc")) == [7]
        for ca_file in (wrong, None):
            with pytest.raises(ServerGone):
                _ask(TritonSession(TritonServers([address], ca_file), "net", "1+abc"), timeout_s=2)
