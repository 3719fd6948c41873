"""Nothing in the product could hold who somebody is by their face, or what a plate says: field, column, model, package.

What may hold bytes or numbers at will is named here with what it holds: a new one has to be looked at, and added.
"""

import importlib
import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import onnx
import pytest
import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from sqlalchemy import JSON, Column, LargeBinary, MetaData, Table

from services.detect.catalogue import default_models_dir
from services.policy.model import Kind, Policy
from services.schema import pb

ROOT = Path(__file__).parents[2]

_WORDS = re.compile(
    r"embed|biometr|faceprint|face_?(id|template|vector|feature|descriptor|match)|recogni[sz]|re_?id(entif)?\b|reid"
    r"|plate_?(text|number|string|chars|value)|licen[cs]e_?(plate|number)|ocr|feature_?vector|gallery|watch_?list"
    r"|gender|ethnic|emotion|(^|[._])(race|age)$",
    re.IGNORECASE,
)

BYTES = {
    "StreamInfo.extradata": "the codec's parameter sets",
    "AudioUnit.extradata": "the codec's parameter sets",
    "Sealed.nonce": "of the encryption",
    "Sealed.ciphertext": "an encrypted payload",
    "Sealed.wrapped_key": "an encrypted key",
    "Reference.sha256": "of a payload that lies elsewhere",
    "AccessUnit.inline": "the camera's own compressed picture",
    "AudioUnit.inline": "the camera's own sound",
    "DetectFrame.jpeg": "a picture for detectors",
    "RenderedFrame.jpeg": "a masked picture",
    "RedactedUnit.payload": "a masked compressed picture",
    "AuditEvent.previous_hash": "SHA-256",
    "AuditEvent.hash": "SHA-256",
}
NUMBERS = {
    "Boxes.xyxy": "four a box",
    "Boxes.score": "one a box",
    "Boxes.kind": "one a box",
    "TrackSegment.first": "a box",
    "TrackSegment.last": "a box",
    "TrackRecord.box": "a box",
}
ANALYTICS = {
    "TrackRecord.camera_id": "the camera",
    "TrackRecord.zones": "names of zones",
    "StatsRecord.camera_id": "the camera",
    "ZoneCount.zone": "name of a zone",
    "LineCount.line": "name of a line",
    "TrackSegment.mode": "how it is masked",
}
"""Texts in what goes to analytics or says what a subject is."""
BLOBS = {
    "vault_keys.wrapped": "an encrypted key",
    "vault_purges.digest": "SHA-256",
    "vault_segments.salt": "random",
    "vault_segments.marks": "numbers of frames",
    "vault_segments.sha256": "SHA-256",
    "vault_events.event": "an AuditEvent",
    "vault_events.hash": "SHA-256",
    "disclosure_events.event": "an AuditEvent",
    "disclosure_events.hash": "SHA-256",
    "audit_events.event": "an AuditEvent",
    "audit_events.hash": "SHA-256",
    "insight_seen.what": "a digest of a message that was counted",
}
IDENTIFIES = re.compile(
    r"face[_-]?recognition|insightface|deepface|facenet|arcface|dlib|compreface|easyocr|pytesseract|tesserocr|paddleocr"
    r"|paddlepaddle|rapidocr|openalpr|fast[_-]?alpr|fast[_-]?plate[_-]?ocr|hyperlpr|torchreid|boxmot|faiss|milvus|qdrant"
    r"|pgvector|chromadb",
    re.IGNORECASE,
)
CALLS = re.compile(
    r"FaceRecognizerSF|cv2\.face\b|TextRecognitionModel|image_to_string|SFace|CRNN|ReadableText|recogni[sz]e_(face|plate|text)",
)


def fields() -> Iterator[tuple[str, FieldDescriptor]]:
    """Every field of every message, by its full name."""
    waiting: list[Descriptor] = list(pb.AuditEvent.DESCRIPTOR.file.message_types_by_name.values())
    while waiting:
        message = waiting.pop()
        waiting += message.nested_types
        if not message.GetOptions().map_entry:
            yield from ((f"{message.name}.{field.name}", field) for field in message.fields)


def columns() -> Iterator[tuple[str, Column[object]]]:
    """Every column of every room's tables."""
    for file in sorted((ROOT / "services").glob("*/tables.py")):
        module = importlib.import_module(f"services.{file.parent.name}.tables")
        tables = [each for each in vars(module).values() if isinstance(each, Table)]
        tables += [
            table for each in vars(module).values() if isinstance(each, MetaData) for table in each.tables.values()
        ]
        for table in tables:
            yield from ((f"{table.name}.{column.name}", column) for column in table.columns)


def test_no_name_of_a_field_or_column_speaks_of_it() -> None:
    named = [name for name, _ in fields()] + [name for name, _ in columns()]
    assert len(named) > 200
    assert [name for name in named if _WORDS.search(name)] == []


def test_messages_hold_bytes_and_numbers_only_where_it_is_known_what() -> None:
    found = dict(fields())
    assert {name for name, field in found.items() if field.type == FieldDescriptor.TYPE_BYTES} == set(BYTES)
    plain = {
        name
        for name, field in found.items()
        if field.is_repeated and field.type not in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_STRING)
    }
    assert plain == set(NUMBERS)
    about_subjects = (
        "TrackRecord.",
        "StatsRecord.",
        "KindCount.",
        "ZoneCount.",
        "LineCount.",
        "TrackSegment.",
        "Boxes.",
    )
    texts = {
        name
        for name, field in found.items()
        if name.startswith(about_subjects) and field.type == FieldDescriptor.TYPE_STRING
    }
    assert texts == set(ANALYTICS)


def test_tables_hold_bytes_only_where_it_is_known_what() -> None:
    assert {name for name, column in columns() if isinstance(column.type, LargeBinary | JSON)} == set(BLOBS)


def test_kinds_say_what_is_masked_and_never_who() -> None:
    assert {kind.value for kind in Kind} == {"face", "plate", "person", "head", "motion", "text", "logo"}
    keys = [*Policy.model_fields, *(kind.value for kind in Kind)]
    assert [key for key in keys if _WORDS.search(key)] == []


def test_models_find_places_and_nothing_more() -> None:
    """A detector's outputs are maps or boxes of the picture: none gives a list of numbers for a face, or letters."""
    catalogue = yaml.safe_load((ROOT / "services/detect/catalogue.yaml").read_text(encoding="utf-8"))
    known = {kind.detector for kind in Kind} | {"audit-face"}
    for name, entry in catalogue["models"].items():
        assert set(entry["finds"]) <= known, name
        assert not re.search(r"arcface|facenet|embed|_rec\b|recogn|reid|ocr_rec|lprnet|crnn", str(entry), re.IGNORECASE)
    files = [*(ROOT / "services/detect/models").glob("*.onnx"), *default_models_dir().glob("*.onnx")]
    assert files
    for file in files:
        graph = onnx.load(file, load_external_data=False).graph
        for output in graph.output:
            shape = [each.dim_value or each.dim_param for each in output.type.tensor_type.shape.dim]
            # One row for each cell, box or pixel: coordinates, scores and at most two dozen classes.
            assert len(shape) >= 3, (file.name, output.name, shape)
            assert min(each for each in shape[1:] if isinstance(each, int)) <= 24, (file.name, output.name, shape)


@pytest.mark.parametrize(
    "file", ["pyproject.toml", *(f"deploy/{path.name}" for path in (ROOT / "deploy").glob("*.lock"))]
)
def test_no_dependency_identifies(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    if file.endswith(".toml"):
        project = tomllib.loads(text)["project"]
        text = "\n".join([*project["dependencies"], *chain(*project["optional-dependencies"].values())])
    assert IDENTIFIES.findall(text) == []


def test_no_code_calls_what_identifies() -> None:
    files = [path for path in (ROOT / "services").rglob("*.py") if "schema" not in path.parts]
    assert len(files) > 200
    assert [path.name for path in files if CALLS.search(path.read_text(encoding="utf-8"))] == []
