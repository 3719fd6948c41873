"""Policy files: what is accepted, and how what is wrong is told."""

from pathlib import Path

import pytest

from services.policy.loader import PRESETS, check_policy, load_policy, preset_text
from services.policy.model import Incomplete, Kind, KindRule, Mode, Policy, Profile
from services.policy.problems import ConfigError
from services.policy.words import describe


def _write(folder: Path, text: str, name: str = "lobby.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _errors(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_policy(path)
    return [str(problem).removeprefix(f"{path.parent}/") for problem in caught.value.problems]


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_complete_and_keeps_the_law_in_mind(name: str) -> None:
    policy = load_policy(name)
    assert policy.name == policy.sector == name
    assert policy.title
    assert policy.purpose
    assert "check with counsel" in policy.legal_basis
    assert policy.sound == "drop"
    assert policy.retention_hours <= 30 * 24
    assert preset_text(name).startswith("# ")


@pytest.mark.parametrize("name", PRESETS)
def test_preset_gives_no_reason_for_caution(name: str) -> None:
    assert check_policy(name) == ()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_names_the_models_that_it_needs_besides_faces_and_plates(name: str) -> None:
    detectors = load_policy(name).detectors
    head = preset_text(name)[: preset_text(name).index("\nname:")]
    extra = not set(detectors) <= {"face", "plate"}
    assert (f"`veil models install {' '.join(detectors)}`" in head) == extra
    assert "logo" not in detectors, "without one registered it would refuse to start"


def test_the_preset_that_is_used_where_none_is_named_needs_only_the_usual_models() -> None:
    assert load_policy("public").detectors == ("face", "plate")


def test_presets_differ() -> None:
    seen = {}
    for name in PRESETS:
        policy = load_policy(name)
        same_words = {"name", "title", "sector", "purpose", "legal_basis"}
        seen.setdefault(policy.model_dump_json(exclude=same_words), []).append(name)
    assert [names for names in seen.values() if len(names) > 1] == []


def test_file_extends_a_preset_key_by_key(tmp_path: Path) -> None:
    path = _write(
        tmp_path, "extends: school\nkinds:\n  face: {threshold: 0.4}\ntracking:\n  hold_s: 3\n", "Year 1.yaml"
    )
    school, policy = load_policy("school"), load_policy(path)
    assert policy.name == "year-1"
    assert policy.rule(Kind.FACE).threshold == 0.4
    assert policy.tracking.hold_s == 3
    assert policy.tracking.look_ahead_s == school.tracking.look_ahead_s
    assert policy.mode_of(Kind.PERSON) is Mode.MOSAIC
    assert set(policy.kinds) == set(school.kinds)


def test_a_list_of_kinds_is_complete_and_keeps_the_rules_of_those_it_names() -> None:
    policy = load_policy("school", {"kinds": ["person"]})
    assert list(policy.kinds) == [Kind.PERSON]
    assert policy.mode_of(Kind.PERSON) is Mode.MOSAIC


def test_a_preset_is_not_changed_by_what_is_laid_on_it() -> None:
    before = load_policy("parking").fingerprint
    load_policy("parking", {"kinds": {"plate": {"threshold": 0.5}}, "tracking": {"hold_s": 9}})
    load_policy("parking", {"kinds": ["face"]})
    assert load_policy("parking").fingerprint == before


def test_another_profile_brings_its_values_and_explicit_keys_win() -> None:
    live = load_policy("hotel", {"profile": "live"})
    assert live.profile is Profile.LIVE
    assert live.tracking.look_ahead_s == 0.5
    assert load_policy("hotel", {"profile": "evidence"}).tracking.look_ahead_s == 3.0
    assert load_policy("hotel", {"profile": "live", "tracking": {"look_ahead_s": 0.9}}).tracking.look_ahead_s == 0.9


def test_kinds_have_defaults_of_their_own() -> None:
    policy = Policy(name="x")
    assert policy.rule(Kind.PLATE).threshold < policy.rule(Kind.FACE).threshold
    assert Policy.model_validate({"name": "x", "kinds": ["plate"]}).rule(Kind.PLATE) == policy.rule(Kind.PLATE)
    assert KindRule(threshold=0.05).keep_threshold == 0.05


def test_what_runs_at_the_decoder_is_not_asked_of_inference() -> None:
    policy = Policy.model_validate({"name": "x", "kinds": ["motion", "face", "head"]})
    assert policy.detectors == ("face", "person")
    assert list(policy.intervals) == ["face", "motion", "person"], "the tracker expects all of them"


def test_order_of_kinds_does_not_change_the_fingerprint() -> None:
    one, other = (
        load_policy("public", {"kinds": ["face", "plate"]}),
        load_policy("public", {"kinds": ["plate", "face"]}),
    )
    assert one.fingerprint == other.fingerprint


def test_every_problem_is_told_at_once_with_line_column_and_key(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "extends: bank\n"
        "kinds:\n"
        "  fase: {}\n"
        "  face: {treshold: 0.2, padding: wide}\n"
        "mode: mosaik\n"
        "strength: 9\n"
        "detection: {every_min: 20, every_max: 5}\n"
        "sound: yes\n"
        "zones:\n"
        "  - {name: a, polygon: [[0, 0], [0, 2], [1, 1]]}\n",
    )
    assert _errors(path) == [
        "lobby.yaml:3:3: kinds.fase: unknown key, did you mean 'face'?",
        "lobby.yaml:4:10: kinds.face.treshold: unknown key, did you mean 'threshold'?",
        "lobby.yaml:4:25: kinds.face.padding: must be a number, is 'wide'",
        f"lobby.yaml:5:1: mode: must be one of {', '.join(Mode)}, is 'mosaik', did you mean 'mosaic'?",
        "lobby.yaml:6:1: strength: must be at most 4.0, is 9",
        "lobby.yaml:7:1: detection: every_min must not exceed every_max",
        "lobby.yaml:8:1: sound: must be one of drop, keep, is true",
        "lobby.yaml:10:37: zones.0.polygon.1.1: must be at most 1.0, is 2",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mode: solid\nmode: blur\n", "lobby.yaml:2:1: mode: stands twice, first on line 1"),
        ("a: [1, 2\n", "lobby.yaml:2:1: is not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("- face\n", "lobby.yaml:1:1: must hold keys and values at its top"),
        ("", "lobby.yaml: is empty: name a preset (`extends: public`) or a key"),
        ("# kinds: [person]\n", "lobby.yaml: is empty"),
        ("{}\n", "lobby.yaml: is empty"),
        ("title: !!python/object:os.system x\n", "the tag"),
        ("title: &a x\npurpose: *a\n", "lobby.yaml:1:8: is not valid YAML: anchors and aliases are not allowed"),
        ("title: " + "[" * 60, "lobby.yaml:1:31: is not valid YAML: it is nested too deeply"),
        ("title: " + "x" * 300_000, "lobby.yaml: is larger than 256 KiB"),
        ("strength: .nan\n", "lobby.yaml:1:1: strength: must be a number"),
        ("strength: '1'\n", "lobby.yaml:1:1: strength: must be a number, is '1'"),
        ("detection: {every_min: true}\n", "lobby.yaml:1:13: detection.every_min: must be a whole number, is true"),
        ("retention_hours: " + "9" * 5000 + "\n", "lobby.yaml:1:18: retention_hours: is not a readable value"),
        ("kinds: []\n", "lobby.yaml:1:1: kinds: needs at least 1 of its items"),
        ("kinds: [[face]]\n", "lobby.yaml:1:1: kinds: must hold keys and values"),
        ("kinds: {face: {threshold: 0.2, keep_threshold: 0.5}}\n", "keep_threshold must not exceed threshold"),
        ("kinds: {motion: {every_s: 1}}\n", "motion is looked for in every look: leave every_s out"),
        ("extends: bnak\n", "lobby.yaml:1:1: extends: there is no such preset, did you mean 'bank'?"),
        ("extends: [bank]\n", "lobby.yaml:1:1: extends: there is no such preset"),
        ("lines: [{name: a, start: [0, 0], end: [0, 0]}]\n", "lines.0: start and end are the same point"),
        ("profile: [live]\n", "lobby.yaml:1:1: profile: must be one of live, evidence"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, told: str) -> None:
    errors = _errors(_write(tmp_path, text))
    assert len(errors) == 1
    assert told in errors[0]


def test_two_zones_of_one_name_are_refused(tmp_path: Path) -> None:
    area = "{name: desk, polygon: [[0, 0], [0, 1], [1, 1]]}"
    errors = _errors(_write(tmp_path, f"zones: [{area}, {area}]\n"))
    assert errors == ["lobby.yaml:1:1: zones: the name 'desk' stands twice"]


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00\x9f", b"name\x00: a", b"name: \xff"])
def test_a_file_that_is_not_text_is_refused(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lobby.yaml"
    path.write_bytes(raw)
    assert len(_errors(path)) == 1


def test_a_missing_preset_or_file_is_told_with_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a preset nor a file of this name, did you mean 'bank'"):
        load_policy("bakn")
    with pytest.raises(ConfigError, match=r"x\.yaml: there is no such file"):
        load_policy(tmp_path / "x.yaml")


def test_no_value_that_may_hold_a_password_is_repeated(tmp_path: Path) -> None:
    (told,) = _errors(_write(tmp_path, "mode: rtsp://user:secret@host\n"))
    assert "secret" not in told


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ({"tracking": {"hold_s": 0}}, "tracking.hold_s"),
        ({"tracking": {"look_ahead_s": 0.1}}, "tracking.look_ahead_s"),
        ({"sound": "keep"}, "sound"),
        ({"retention_hours": 24 * 31}, "retention_hours"),
        ({"strength": 0.5}, "strength"),
        ({"purpose": ""}, "purpose"),
        ({"kinds": ["plate"]}, "kinds"),
        ({"kinds": {"face": {"threshold": 0.9}}}, "kinds.face.threshold"),
        ({"kinds": ["face", "text"], "tracking": {"look_ahead_s": 0.8}}, "kinds.text.every_s"),
    ],
)
def test_what_deserves_a_second_thought_is_told_with_its_key(overrides: dict[str, object], key: str) -> None:
    (caution,) = check_policy("apartment", overrides)
    assert ".".join(map(str, caution.key)) == key


def test_what_a_file_lacks_is_told_of_that_file(tmp_path: Path) -> None:
    notes = check_policy(_write(tmp_path, "kinds: [face]\n"))
    assert [str(note).split(": ")[:2] for note in notes] == [[f"{tmp_path / 'lobby.yaml'}:1:1", "purpose"]]


def test_plain_words_say_what_is_masked_and_what_happens_otherwise() -> None:
    text = describe(load_policy("school"))
    assert "Faces and number plates are covered with a plain colour; whole persons are mosaicked" in text
    assert "closed: the whole picture is masked" in text
    assert "2.5 seconds before" in text
    assert "Sound is dropped." in text
    dropping = load_policy("hospital")
    assert dropping.on_incomplete is Incomplete.DROP
    assert "left out" in describe(dropping)


def test_what_is_wrong_in_overrides_is_told_as_theirs() -> None:
    with pytest.raises(ConfigError) as caught:
        load_policy("bank", {"strength": 9, "tracking": {"hold_s": -1}, "kinds": ["fase"]})
    assert [str(problem) for problem in caught.value.problems] == [
        "overrides: kinds.fase: unknown key, did you mean 'face'?",
        "overrides: strength: must be at most 4.0, is 9",
        "overrides: tracking.hold_s: must be at least 0.0, is -1",
    ]
