"""Which home the settings choose, and what a service does about a Triton that is absent or serves something else."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from services.detect.catalogue import ModelMissing, catalogue
from services.detect.groups import grouped
from services.detect.logo_folder import LogoFolder
from services.detect.onnx_runtime import OnnxSession
from services.inference import InferenceSettings, load_detectors
from tests.support.fake_triton import FakeTriton, serving
from tests.support.logos import drawn
from tests.support.own_nets import KINDS, bundled, colours


def test_the_triton_home_has_defaults_of_its_own_and_heeds_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    at_home = InferenceSettings()
    assert (at_home.home, at_home.max_batch, at_home.workers, at_home.concurrency) == ("onnx", 1, 1, 1)
    monkeypatch.setenv("VEIL_INFERENCE_HOME", "triton")
    monkeypatch.setenv("VEIL_INFERENCE_WORKERS", "3")
    away = InferenceSettings(timeout_s=1)
    assert (away.home, away.max_batch, away.workers, away.concurrency) == ("triton", 8, 3, 2)


@pytest.mark.parametrize("urls", ["", "a b", "a,,b", "a:port", "http://a:8001", "a:8001,"])
def test_addresses_that_are_none_are_refused(urls: str) -> None:
    with pytest.raises(ValidationError):
        InferenceSettings(triton_urls=urls)


def test_a_triton_that_is_not_there_yet_is_said_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    settings = InferenceSettings(home="triton", triton_urls="127.0.0.1:1", timeout_s=0.5)
    detector = load_detectors(["face"], settings)["face"]
    assert (detector.name, detector.version) == ("face", catalogue().entry("face").stamp)
    (record,) = caplog.records
    assert record.message.startswith("the face detector has no Triton yet, its frames stay closed until then")


def test_another_model_than_the_catalogues_refuses_to_start_with_one_sentence() -> None:
    with serving(FakeTriton(stamp="1+000000000000")) as address, pytest.raises(ModelMissing) as caught:
        load_detectors(["face"], InferenceSettings(home="triton", triton_urls=address))
    assert f"serves centerface 1+000000000000, and not {catalogue().entry('face').stamp}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_kinds_of_one_network_are_one_request_to_triton_for_their_outputs(tmp_path: Path) -> None:
    network = OnnxSession(colours())

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(KINDS, network.run(KINDS, images, 10), strict=True))

    picture = np.zeros((64, 96, 3), np.uint8)
    picture[8:16, 24:32, 0] = picture[40:48, 56:64, 2] = 255
    with bundled(tmp_path, colours()):
        fake = FakeTriton(answer, stamp=catalogue().entry("veil").stamp)
        here = load_detectors(KINDS, models=dict.fromkeys(KINDS, "veil"))
        with serving(fake) as address:
            settings = InferenceSettings(home="triton", triton_urls=address)
            (there,) = grouped(load_detectors(KINDS, settings, models=dict.fromkeys(KINDS, "veil")))
            found = there.detect(("face", "person"), [picture], 10)
    assert fake.outputs == [("face", "person")]
    assert fake.checks == 1
    for name, (boxes,) in found.items():
        (expected,) = here[name].detect([picture], 10)
        assert len(boxes) == 1
        assert boxes.xyxy.tobytes() == expected.xyxy.tobytes()


@pytest.mark.parametrize("home", ["onnx", "triton"])
def test_logos_are_looked_for_in_process_in_both_homes(
    home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VEIL_LOGOS", str(tmp_path / "logos"))
    settings = InferenceSettings.model_validate({"home": home, "triton_urls": "127.0.0.1:1"})
    with pytest.raises(ModelMissing, match="no logo is registered: run `veil logo add NAME PICTURE`"):
        load_detectors(["logo"], settings)
    cv2.imwrite(str(tmp_path / "acme.png"), drawn()[..., ::-1])
    LogoFolder().add("acme", tmp_path / "acme.png")
    detector = load_detectors(["logo"], settings)["logo"]
    assert detector.version == f"1+{LogoFolder().read_all()[1]}"
    (tmp_path / "logos" / "acme.png").write_bytes(b"changed")
    with pytest.raises(ModelMissing, match="run `veil logo add acme PICTURE`"):
        load_detectors(["logo"], settings)


def test_a_detector_that_runs_at_the_decoder_is_not_loaded_here() -> None:
    assert load_detectors(["motion"]) == {}
