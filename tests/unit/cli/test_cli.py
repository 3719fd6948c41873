"""The `veil` command: help, errors in one sentence, exit codes, and batches."""

import errno
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

import services.embedded.redact
import services.review.export
from services.cli import app
from services.detect.catalogue import catalogue
from services.embedded.errors import ExitCode, RunError
from services.embedded.redact import Progress, RedactJob
from services.policy.model import Kind, Mode, Profile
from services.report.summary import FileFacts, RunSummary, Timeline
from services.review.export import ExportJob


def _veil(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _words(text: str) -> str:
    """Help text without boxes and line breaks."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", text)


def _summary(job: RedactJob, closed: int = 0) -> RunSummary:
    return RunSummary(
        input=FileFacts(job.input.name, 1, ""),
        output=FileFacts(job.output.name, 1, ""),
        started="2025-11-12T14:03:22+00:00",
        duration_s=1,
        width=64,
        height=48,
        frame_rate=10,
        frames=10,
        masked={"face": 7},
        tracks={},
        closed=closed,
        dropped=0,
        closed_why={"The decoder lost a picture.": closed - 1, "Detector face failed.": 1} if closed else {},
        looks=3,
        wall_s=0.5,
        cpu_s=0.5,
        policy=job.policy.fingerprint,
        policy_words=(),
        settings=job.policy.model_dump(mode="json"),
        models=(),
        timeline=Timeline(),
        veil="0",
    )


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[RedactJob]:
    """The jobs that reach the pipeline, which masks nothing here. A file named bad*.* fails."""
    seen: list[RedactJob] = []

    def masked(job: RedactJob, on_progress: Callable[[Progress], None]) -> RunSummary:
        seen.append(job)
        on_progress(Progress(5, 10, 20.0, {"face": 3}, 0, 0.25))
        if job.input.name.startswith("bad"):
            raise RunError(f"{job.input}: not a video", ExitCode.INPUT)
        job.output.write_bytes(b"masked")
        return _summary(job, closed=3 if job.input.name.startswith("closed") else 0)

    monkeypatch.setattr(services.embedded.redact, "redact_file", masked)
    return seen


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(12):
            picture = np.full((240, 320, 3), i * 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def test_a_command_pays_for_its_own_imports_only() -> None:
    loaded = "import sys, services.cli; print(sorted({'cv2', 'onnxruntime', 'av', 'sqlalchemy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True, timeout=60).stdout == b"[]\n"


def test_an_unknown_command_is_told_the_nearest_one() -> None:
    assert "Did you mean 'redact'?" in _words(_veil("redcat").output)


@pytest.mark.parametrize(
    ("command", "taught"),
    [
        (["--help"], "130 interrupted"),
        (["redact", "--help"], "veil redact lobby.avi out.mp4 --policy bank --report report.html"),
        (["redact", "--help"], "5 output not writable or disk full"),
        (["run", "--help"], "veil run shop.yaml"),
        (["policy", "--help"], "veil policy check lobby.yaml"),
        (["models", "--help"], "veil models install face plate person"),
        (["version"], "veil 0."),
        (["--version"], "veil 0."),
    ],
)
def test_help_teaches(command: list[str], taught: str) -> None:
    result = _veil(*command)
    assert result.exit_code == 0
    assert taught in _words(result.stdout)


def test_the_page_of_commands_names_them_all() -> None:
    page = (Path(__file__).parents[3] / "docs" / "command.md").read_text(encoding="utf-8")
    commands = [command.name or "" for command in get_command(app).commands.values()]  # type: ignore[attr-defined]
    assert [name for name in commands if f"`veil {name}" not in page] == []


def test_a_missing_input_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    result = _veil("redact", tmp_path / "nothing.mp4", tmp_path / "out.mp4")
    assert result.exit_code == ExitCode.INPUT
    assert result.stderr == f"error: {tmp_path}/nothing.mp4: there is no such file\n"


def test_something_that_is_not_a_video_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    path.write_bytes(b"this is not a video" * 100)
    result = _veil("redact", path, tmp_path / "out.mp4")
    assert result.exit_code == ExitCode.INPUT
    assert result.stderr.startswith(f"error: {path}")
    assert result.stderr.count("\n") == 1
    assert [found.name for found in tmp_path.iterdir()] == ["in.mp4"]


def test_an_output_in_a_missing_folder_is_one_sentence_and_code_5(tmp_path: Path, clip: Path) -> None:
    result = _veil("redact", clip, tmp_path / "nowhere" / "out.mp4")
    assert result.exit_code == ExitCode.OUTPUT
    assert result.stderr == f"error: {tmp_path}/nowhere/out.mp4: its folder does not exist\n"


def test_a_missing_model_is_one_sentence_and_code_4(tmp_path: Path, clip: Path) -> None:
    result = _veil("redact", clip, tmp_path / "out.mp4", "--models", tmp_path)
    assert result.exit_code == ExitCode.MODEL
    assert "veil models install" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("policy", "there", "absent", "names"),
    [
        ("hospital", (), "face, person and text models are", "face person text"),
        ("hospital", ("face",), "person and text models are", "person text"),
        ("bank", ("face",), "text model is", "text"),
        ("hotel", ("face", "plate"), "person model is", "person"),
    ],
)
def test_one_command_installs_all_that_a_preset_needs(
    policy: str, there: tuple[str, ...], absent: str, names: str, tmp_path: Path, clip: Path
) -> None:
    for name in there:
        (tmp_path / catalogue().entry(name).stored).write_bytes(b"")
    result = _veil("redact", clip, tmp_path / "out.mp4", "--policy", policy, "--models", tmp_path)
    assert result.exit_code == ExitCode.MODEL
    assert result.stderr == f"error: the {absent} not installed: run `veil models install {names}`\n"


def test_a_review_is_of_one_file(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ExportJob] = []

    def exported(job: ExportJob, on_progress: Callable[[Progress], None]) -> RunSummary:
        seen.append(job)
        return _summary(RedactJob(job.input, tmp_path / "out.mp4", job.policy))

    monkeypatch.setattr(services.review.export, "export_review", exported)
    report, folder = tmp_path / "report.html", tmp_path / "review"
    result = _veil("redact", clip, tmp_path / "out.mp4", "--review", folder, "--report", report, "--mode", "solid")
    assert result.exit_code == 0
    (job,) = seen
    assert (job.input, job.output, job.folder, job.report) == (clip, tmp_path / "out.mp4", folder, report)
    assert job.policy.mode is Mode.SOLID
    result = _veil("redact", clip.parent, tmp_path / "masked", "--review", folder)
    assert result.exit_code == ExitCode.USAGE
    assert "--review is for one file" in result.stderr
    assert not (tmp_path / "masked").exists()


def test_what_is_wrong_on_the_command_line_is_told_at_once_with_code_2(tmp_path: Path) -> None:
    result = _veil("redact", "a.mp4", "b.mp4", "--mode", "mosaik", "--kinds", "fase", "--strength", "9")
    assert result.exit_code == ExitCode.USAGE
    modes = ", ".join(Mode)
    assert result.stderr.splitlines() == [
        "error: command line: kinds.fase: unknown key, did you mean 'face'?",
        f"error: command line: mode: must be one of {modes}, is 'mosaik', did you mean 'mosaic'?",
        "error: command line: strength: must be at most 4.0, is 9.0",
    ]


def test_an_unknown_key_in_a_policy_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "lobby.yaml"
    path.write_text("extends: bank\nstrenght: 2\n")
    for command in (
        ["redact", "a.mp4", "b.mp4", "--policy", path],
        ["policy", "check", path],
        ["policy", "show", path],
    ):
        result = _veil(*command)
        assert result.exit_code == ExitCode.USAGE
        assert result.stderr == f"error: {path}:2:1: strenght: unknown key, did you mean 'strength'?\n"


def test_an_existing_output_is_kept_unless_overwrite_is_said(tmp_path: Path, clip: Path, jobs: list[RedactJob]) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    result = _veil("redact", clip, out)
    assert result.exit_code == ExitCode.USAGE
    assert "--overwrite replaces it" in result.stderr
    assert out.read_bytes() == b"precious"
    assert jobs == []
    assert _veil("redact", clip, out, "--overwrite").exit_code == 0
    assert out.read_bytes() == b"masked"


def test_options_reach_the_pipeline(tmp_path: Path, clip: Path, jobs: list[RedactJob]) -> None:
    report, summary, metadata = tmp_path / "r.html", tmp_path / "s.json", tmp_path / "m.jsonl"
    result = _veil(
        "redact", clip, tmp_path / "out.mp4", "--policy", "school", "--mode", "blur", "--kinds", "face, plate",
        "--strength", "2", "--keep-sound", "--badge", "--report", report, "--summary", summary,
        "--metadata", metadata, "--models", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0
    (job,) = jobs
    assert (job.report, job.summary, job.metadata, job.models_dir) == (report, summary, metadata, tmp_path)
    policy = job.policy
    assert (policy.mode, policy.strength, policy.sound, policy.badge) == (Mode.BLUR, 2, "keep", True)
    assert set(policy.kinds) == {Kind.FACE, Kind.PLATE}
    assert policy.rule(Kind.FACE).threshold == 0.15
    assert "out.mp4: 10 frames in 0.5 s (20.0 fps), 7 face masks, 0 plate masks\n" in result.stdout


def test_presets_look_ahead_as_for_evidence_and_files_as_they_say(
    tmp_path: Path, clip: Path, jobs: list[RedactJob]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("extends: public\n")
    for i, options in enumerate(([], ["--profile", "live"], ["--policy", own])):
        assert _veil("redact", clip, tmp_path / f"{i}.mp4", *options).exit_code == 0
    profiles = [(job.policy.profile, job.policy.tracking.look_ahead_s) for job in jobs]
    assert profiles == [(Profile.EVIDENCE, 2.0), (Profile.LIVE, 0.8), (Profile.LIVE, 0.8)]


def test_a_mode_that_no_masked_kind_can_have_is_told(tmp_path: Path, clip: Path, jobs: list[RedactJob]) -> None:
    told = "seal is for persons and motion"
    faces = _veil("redact", clip, tmp_path / "a.mp4", "--mode", "seal", "--kinds", "face")
    people = _veil("redact", clip, tmp_path / "b.mp4", "--mode", "seal", "--kinds", "face,person")
    assert told in " ".join(faces.stdout.split())
    assert told not in " ".join(people.stdout.split())


def test_quiet_says_nothing(tmp_path: Path, clip: Path, jobs: list[RedactJob]) -> None:
    result = _veil("redact", clip, tmp_path / "out.mp4", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_strict_ends_with_6_where_frames_were_closed(tmp_path: Path, clip: Path, jobs: list[RedactJob]) -> None:
    closed = clip.rename(tmp_path / "closed.mp4")
    loose = _veil("redact", closed, tmp_path / "a.mp4")
    assert loose.exit_code == 0
    assert "3 frames closed, most often: The decoder lost a picture" in " ".join(loose.stdout.split())
    assert _veil("redact", closed, tmp_path / "b.mp4", "--strict").exit_code == ExitCode.CLOSED


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (RunError("the disk is full", ExitCode.OUTPUT), 5, "the disk is full"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/out.mp4"), 5, "/x/out.mp4: no space left on device"),
        (ValueError("holds pixels"), 1, "unexpected ValueError; VEIL_DEBUG=1 shows where"),
    ],
)
def test_what_goes_wrong_in_a_run_is_one_sentence(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, told: str
) -> None:
    def fails(job: RedactJob, on_progress: object) -> RunSummary:
        raise raised

    monkeypatch.setattr(services.embedded.redact, "redact_file", fails)
    result = _veil("redact", clip, tmp_path / "out.mp4")
    assert result.exit_code == code
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert "pixels" not in result.stderr


def test_a_batch_goes_on_past_a_bad_file_and_can_be_run_again(tmp_path: Path, jobs: list[RedactJob]) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.mp4", "bad.avi", "c.mkv", "c.avi", "notes.txt"):
        (source / name).write_bytes(b"x")
    result = _veil("redact", source, target, "--summary", tmp_path / "figures")
    assert result.exit_code == ExitCode.INPUT
    assert "3 masked, 1 failed, 0 already there" in result.stdout
    assert result.stderr == f"error: {source}/bad.avi: not a video\n"
    assert sorted(path.name for path in target.iterdir()) == ["a.mp4", "c.avi.mp4", "c.mkv.mp4"]
    assert [job.summary and job.summary.name for job in jobs] == ["a.json", "bad.json", "c.avi.json", "c.mkv.json"]

    (source / "bad.avi").unlink()
    again = _veil("redact", source, target)
    assert again.exit_code == 0
    assert "0 masked, 0 failed, 3 already there" in again.stdout
    assert len(jobs) == 4


@pytest.mark.parametrize(
    ("prepare", "code", "told"),
    [
        (lambda folder: (folder / "in", folder / "out"), ExitCode.INPUT, "holds no video"),
        (lambda folder: (folder / "full", folder / "full"), ExitCode.USAGE, "are the same folder"),
        (lambda folder: (folder / "full", folder / "file"), ExitCode.USAGE, "must be a folder"),
    ],
)
def test_batches_that_make_no_sense(
    tmp_path: Path, prepare: Callable[[Path], tuple[Path, Path]], code: ExitCode, told: str, jobs: list[RedactJob]
) -> None:
    for name in ("in", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "a.mp4").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    result = _veil("redact", *prepare(tmp_path))
    assert result.exit_code == code
    assert told in result.stderr
    assert jobs == []


def test_an_address_is_sent_to_veil_run() -> None:
    result = _veil("redact", "rtsp://user:secret@host/1", "out.mp4")
    assert result.exit_code == ExitCode.USAGE
    assert "veil run" in result.stderr
    assert "secret" not in result.output


def test_policy_list_names_every_preset() -> None:
    result = _veil("policy", "list")
    assert result.exit_code == 0
    assert {line.split()[0] for line in result.stdout.splitlines()} >= {"apartment", "bank", "transit"}


def test_policy_show_speaks_plainly_and_its_yaml_can_be_read_back(tmp_path: Path) -> None:
    shown = _veil("policy", "show", "bank")
    assert "Faces and readable signs are covered with a plain colour." in shown.stdout
    assert "run `veil models install face text`." in shown.stdout
    assert "veil models install" not in _veil("policy", "show", "public").stdout
    path = tmp_path / "mine.yaml"
    path.write_text(_veil("policy", "show", "bank", "--yaml").stdout)
    assert "# Bank" in path.read_text()
    path.write_text("extends: bank\nstrength: 2\n")
    full = tmp_path / "full.yaml"
    full.write_text(_veil("policy", "show", path, "--yaml").stdout)
    assert _veil("policy", "check", full).stdout == f"{full}: can be used\n"


def test_policy_check_tells_what_deserves_a_second_thought(tmp_path: Path) -> None:
    path = tmp_path / "lobby.yaml"
    path.write_text("extends: bank\nsound: keep\n")
    result = _veil("policy", "check", path, "store")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"note: {path}:2:1: sound: voices identify people")
    assert "store: can be used" in result.stdout


def test_run_checks_the_site_file_and_never_prints_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR", "rtsp://user:secret@10.0.0.1/live")
    path = tmp_path / "site.yaml"
    path.write_text("name: x\ncameras:\n  - id: door\n    source: ${DOOR}\n    outputs: {mp4: a.mp4}\n")
    result = _veil("run", path, "--check")
    assert result.exit_code == 0
    assert result.stdout == "door: rtsp://10.0.0.1/live, policy public, masks face, plate\n"

    path.write_text(path.read_text().replace("mp4:", "mp5:"))
    wrong = _veil("run", path)
    assert wrong.exit_code == ExitCode.USAGE
    assert f"error: {path}:5:15: cameras.0.outputs.mp5: unknown key, did you mean 'mp4'?\n" in wrong.stderr
    assert "secret" not in wrong.output


def test_run_says_at_once_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    cameras = "[{id: a, source: none.mp4}, {id: b, source: site.yaml, outputs: {mp4: none/b.mp4}}]"
    path.write_text(f"name: x\ncameras: {cameras}\n")
    told = [
        f"camera a: {tmp_path}/none.mp4: there is no such file",
        f"camera b: {tmp_path}/none/b.mp4: its folder does not exist",
    ]
    checked = _veil("run", path, "--check")
    assert checked.exit_code == 0
    assert checked.stdout.splitlines()[2:] == [f"note: {sentence}, on this machine" for sentence in told]
    result = _veil("run", path)
    assert result.exit_code == ExitCode.INPUT
    assert result.stderr.splitlines() == [f"error: {sentence}" for sentence in told]


def test_models_say_what_is_missing(tmp_path: Path) -> None:
    result = _veil("models", "verify", "face", "--models", tmp_path)
    assert result.exit_code == ExitCode.MODEL
    assert result.stderr.count("\n") == 1
    assert _veil("models", "verify", "nose").exit_code == ExitCode.USAGE
    listed = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["models", "list", "--models", str(tmp_path)])
    assert "not installed" in listed.stdout


@pytest.mark.models
def test_a_real_clip_becomes_a_masked_one_with_all_its_frames(tmp_path: Path, clip: Path) -> None:
    out, page, figures = tmp_path / "out.mp4", tmp_path / "report.html", tmp_path / "summary.json"
    result = _veil("redact", clip, out, "--report", page, "--summary", figures)
    assert result.exit_code == 0, result.stderr
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12
    assert "12 frames" in result.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert figures.exists()
