"""Veil's own networks: one pass for all kinds, scores on one scale, and a file that comes with Veil."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from services.detect import catalogue as catalogues
from services.detect.catalogue import ModelMissing, catalogue, check_present, read_model
from services.detect.groups import grouped
from services.detect.interface import Boxes, DetectorError, Image, Tensors
from services.detect.onnx_runtime import OnnxSession
from services.detect.own import OwnDetector, only
from services.detect.scores import Scale
from services.inference import InferenceSettings, load_detectors
from services.schema import pb
from tests.support.own_nets import KINDS, SIDE, bundled, colours, random_net

_CHOSEN = dict.fromkeys(KINDS, "veil")
_SMALL: Mapping[str, object] = {"widths": (8, 8, 8, 8), "depths": (1, 1, 1, 1), "neck": 8, "head": 8}


@pytest.fixture
def veil(tmp_path: Path) -> Iterator[Path]:
    """The network that finds colours comes with Veil; nothing is installed in the folder that it yields."""
    with bundled(tmp_path, colours()):
        yield tmp_path / "none"


class Session:
    """Answers every output with the same cells, and notes what it was asked for."""

    def __init__(self, answer: np.ndarray) -> None:
        self.answer = answer
        self.asked: list[tuple[str, ...]] = []

    def run_each(self, outputs: Sequence[str], pictures: Sequence[Image], timeout_s: float) -> Sequence[Tensors]:
        self.asked.append(tuple(outputs))
        return [[self.answer for _ in outputs] for _ in pictures]


def _squares() -> Image:
    """A picture whose sides are no multiples of 32, with a red square, a green and a blue one of one cell each."""
    image = np.zeros((100, 200, 3), np.uint8)
    for plane, (x, y) in enumerate(((40, 16), (120, 64), (184, 88))):
        image[y : y + 8, x : x + 8, plane] = 255
    return image


def test_each_kind_comes_from_the_output_of_its_name_in_pixels_of_the_picture(veil: Path) -> None:
    found = load_detectors(KINDS, models_dir=veil, models=_CHOSEN)
    kinds = {"face": pb.KIND_FACE, "plate": pb.KIND_PLATE, "person": pb.KIND_PERSON}
    for name, (x, y) in zip(KINDS, ((44, 20), (124, 68), (188, 92)), strict=True):
        (boxes,) = found[name].detect([_squares()], 10)
        assert boxes.xyxy.tolist() == [[x - SIDE, y - SIDE, x + SIDE, y + SIDE]]
        assert (boxes.score.tolist(), boxes.kind.tolist()) == ([1.0], [kinds[name]])
        assert (found[name].name, found[name].model) == (name, "veil")
        assert found[name].version == catalogue().entry("veil").stamp


def test_detectors_of_one_model_share_its_session_and_others_do_not(veil: Path) -> None:
    found = load_detectors(KINDS, models_dir=veil, models=_CHOSEN)
    (group,) = grouped(found)
    assert list(group.detectors) == list(KINDS)
    assert group.label == "veil network (face, plate, person)"
    alone = {name: (boxes,) for name in KINDS for (boxes,) in [found[name].detect([_squares()], 10)]}
    for name, (boxes,) in group.detect(KINDS, [_squares()], 10).items():
        assert np.array_equal(boxes.xyxy, alone[name][0].xyxy)


def test_the_network_runs_once_and_only_what_is_wanted_is_asked_for(veil: Path) -> None:
    session = Session(np.zeros((5, 64 + 16 + 4), np.float32))
    entry = catalogue().entry("veil")
    (group,) = grouped({name: OwnDetector(session, entry, name) for name in KINDS})
    image = np.zeros((64, 64, 3), np.uint8)
    assert set(group.detect(("face", "person"), [image, image], 1)) == {"face", "person"}
    assert set(group.detect(("plate",), [image], 1)) == {"plate"}
    assert session.asked == [("face", "person"), ("plate",)]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (np.full((5, 84), np.nan, np.float32), "not finite in face"),
        (np.zeros((5, 83), np.float32), r"face of shape \(5, 83\) instead of \(5, 84\)"),
    ],
)
def test_i2_an_answer_that_cannot_be_true_is_no_answer_for_any_kind(veil: Path, answer: np.ndarray, why: str) -> None:
    entry = catalogue().entry("veil")
    (group,) = grouped({name: OwnDetector(Session(answer), entry, name) for name in ("face",)})
    with pytest.raises(DetectorError, match=why):
        group.detect(("face",), [np.zeros((64, 64, 3), np.uint8)], 1)


def test_a_network_cut_to_one_output_answers_the_same_to_the_last_bit() -> None:
    whole = random_net(**_SMALL)
    cut = only(whole, ["plate"])
    assert [output.name for output in onnx.load_from_string(cut).graph.output] == ["plate"]
    assert not any(
        "face" in node.name or "face" in "".join(node.output) for node in onnx.load_from_string(cut).graph.node
    )
    pictures = np.random.default_rng(3).integers(0, 255, (1, 64, 96, 3)).astype(np.uint8)
    (here,), (there,) = (OnnxSession(model).run(["plate"], pictures, 10) for model in (whole, cut))
    assert here.tobytes() == there.tobytes()


def test_scores_mean_the_same_whichever_network_found_something(tmp_path: Path) -> None:
    half = np.zeros((64, 64, 3), np.uint8)
    half[..., 0] = 127
    scores = {"face": [[0.4, 0.1], [0.6, 0.5]]}
    with bundled(tmp_path, colours(), scores=scores):
        for floor, expected in ((0.03, 0.296), (0.29, 0.296), (0.31, None)):
            settings = InferenceSettings(score_floor=floor)
            (boxes,) = load_detectors(["face"], settings, tmp_path, _CHOSEN)["face"].detect([half], 10)
            assert (len(boxes) > 0) == (expected is not None)
            assert expected is None or boxes.score == pytest.approx(expected, abs=1e-3)


def test_a_scale_keeps_the_order_and_the_ends() -> None:
    scale = Scale(((0.3, 0.1), (0.5, 0.3)))
    own = np.linspace(0, 1, 101, dtype=np.float32)
    boxes = Boxes(np.zeros((101, 4), np.float32), own, np.ones(101, np.int32))
    common = scale.applied(boxes).score
    assert (np.diff(common) > 0).all()
    assert (common[0], common[30], common[50], common[100]) == pytest.approx((0, 0.1, 0.3, 1))
    assert [scale.floor(float(score)) for score in common] == pytest.approx(own.tolist(), abs=1e-5)
    assert Scale().applied(boxes).score.tobytes() == own.tobytes()


@pytest.mark.parametrize("points", [((0.5, 0.5), (0.4, 0.6)), ((0.5, 0.5), (0.6, 0.5)), ((0.0, 0.1),), ((0.5, 1.0),)])
def test_points_that_do_not_rise_are_refused(points: tuple[tuple[float, float], ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must rise"):
        Scale(points)
    with bundled(tmp_path, b"", scores={"face": points}), pytest.raises(ValidationError, match="must rise"):
        catalogue()


@pytest.mark.parametrize(
    "changes",
    [{"convert": "centerface"}, {"scores": {"text": [[0.5, 0.4]]}}, {"finds": []}, {"source": {"manager": "bundled"}}],
)
def test_an_entry_that_contradicts_itself_is_refused(changes: dict[str, object], tmp_path: Path) -> None:
    with bundled(tmp_path, b"", **changes), pytest.raises(ValidationError):
        catalogue()


def test_a_default_must_find_what_it_is_the_default_of(tmp_path: Path) -> None:
    with bundled(tmp_path, b"", {"text": "veil"}), pytest.raises(ValidationError, match="veil is no model for text"):
        catalogue()


def test_a_bundled_file_needs_no_installation_and_is_refused_where_it_was_changed(veil: Path) -> None:
    check_present([catalogue().entry("veil")], veil)
    assert read_model("veil", veil) == colours()
    (catalogues.BUNDLED / "veil.onnx").write_bytes(b"changed")
    with pytest.raises(ModelMissing, match=r"is not the plate model it should be: install Veil again"):
        load_detectors(["face"], models_dir=veil, models=_CHOSEN)
    (catalogues.BUNDLED / "veil.onnx").unlink()
    with pytest.raises(ModelMissing, match=r"the plate model is not installed: install Veil again"):
        load_detectors(["face"], models_dir=veil, models=_CHOSEN)


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ({"face": "viel"}, "there is no model viel for face; there is centerface and veil"),
        ({"text": "veil"}, "there is no model veil for text; there is ppocr_det"),
        ({"fase": "veil"}, "there is no fase detector; known are audit-face, face, person, plate, text"),
    ],
)
def test_a_choice_that_is_none_is_one_sentence(veil: Path, models: dict[str, str], sentence: str) -> None:
    with pytest.raises(ModelMissing, match=f"^{sentence}$"):
        load_detectors([], models_dir=veil, models=models)
    setting = ",".join(f"{name}={model}" for name, model in models.items())
    with pytest.raises(ModelMissing, match=f"^{sentence}$"):
        load_detectors([], InferenceSettings(models=setting), veil)


def test_what_the_site_chooses_goes_before_the_environment(veil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_INFERENCE_MODELS", "face=centerface,plate=veil")
    assert InferenceSettings().chosen_models == {"face": "centerface", "plate": "veil"}
    found = load_detectors(["face", "plate"], models_dir=veil, models={"face": "veil"})
    assert [found[name].model for name in ("face", "plate")] == ["veil", "veil"]
    with pytest.raises(ModelMissing, match="the face model is not installed: run `veil models install face`"):
        load_detectors(["face", "plate"], models_dir=veil)


@pytest.mark.parametrize("text", ["face", "face=", "=veil", "face=veil,", "face=veil;plate=veil", "Face=veil"])
def test_a_setting_that_is_no_list_of_choices_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        InferenceSettings(models=text)
