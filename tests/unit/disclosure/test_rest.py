"""The whole way of a request over the API, from filing to a package that is handed out, corrected or refused."""

import io
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("argon2")
pytest.importorskip("sqlalchemy")

from services.accounts.model import Role
from services.disclosure.verify import verify
from tests.support.accounts import NAMES
from tests.support.api import REQUESTS, WHY, City, act, chosen, filed, packaged, waited
from tests.support.own_footage import SIZE, film, inside, likeness, luma, me_at, them_at

OFFICER, APPROVER = Role.OFFICER, Role.APPROVER


def test_a_request_from_filing_to_verified_package(house: City, tmp_path: Path) -> None:
    """Pixels: the subject is seen in the video that was downloaded, the other person is not, before or after."""
    film(tmp_path / "film.mp4")
    original = luma(tmp_path / "film.mp4")
    with house.clients(OFFICER, APPROVER) as (officer, approver):
        request_id = filed(officer)
        chosen(officer, request_id)
        found = approver.get(f"{REQUESTS}/{request_id}/found").json()
        assert found["total"] == 2
        for each in found["found"]:
            picture = approver.get(each["picture"])
            assert picture.headers["content-type"] == "image/jpeg"
            (tmp_path / "shown.jpg").write_bytes(picture.content)
            (shown,) = luma(tmp_path / "shown.jpg")
            for seq in range(each["first_seq"], each["last_seq"] + 1):
                for box in (me_at(seq), them_at(seq)):
                    assert abs(likeness(original[seq], shown, inside(box, *SIZE))) < 0.6
        assert act(approver, request_id, "approve").json()["state"] == "approved"
        job = waited(officer, act(officer, request_id, "render"))
        assert (job["state"], job["progress"], job["error"]) == ("done", 1.0, "")
        (video,) = officer.get(f"{REQUESTS}/{request_id}/videos").json()["videos"]
        frame = officer.get(f"{REQUESTS}/{request_id}/videos/{video['name']}/frames/30").json()
        assert frame["subject"]
        assert {mask["why"] for mask in frame["masks"]} >= {"other"}
        jpeg = officer.get(frame["picture"])
        assert jpeg.content[:2] == b"\xff\xd8"
        part = officer.get(f"{REQUESTS}/{request_id}/videos/{video['name']}", headers={"Range": "bytes=0-99"})
        assert (part.status_code, len(part.content)) == (206, 100)
        assert act(approver, request_id, "review").status_code == 200
        assert waited(officer, act(officer, request_id, "package"))["state"] == "done"
        assert officer.get(f"{REQUESTS}/{request_id}/verify").json()["holds"]
        assert act(officer, request_id, "hand-over", days=3).json()["state"] == "handed_over"
        package = officer.post(f"{REQUESTS}/{request_id}/download", json={"why": "posted to J. Park"})

    (tmp_path / "package.zip").write_bytes(package.content)
    assert verify(tmp_path / "package.zip").holds
    with zipfile.ZipFile(io.BytesIO(package.content)) as files:
        files.extract(video["name"], tmp_path)
    pictures = luma(tmp_path / video["name"])
    assert len(pictures) == 75
    seen = [likeness(original[seq], pictures[seq], inside(me_at(seq), *SIZE)) for seq in (5, 10)]
    others = [abs(likeness(original[seq], pictures[seq], inside(them_at(seq), *SIZE))) for seq in range(5, 70, 5)]
    assert min(seen) > 0.9
    assert max(others) < 0.4
    last = house.desk.store.get(request_id).history[-1]
    assert (last.action, last.who, last.why) == ("download", NAMES[OFFICER], "posted to J. Park")


def test_downloads_are_logged_and_end(house: City) -> None:
    with house.clients(OFFICER, APPROVER, Role.AUDITOR) as (officer, approver, auditor):
        request_id = packaged(officer, approver)
        assert officer.post(f"{REQUESTS}/{request_id}/download", json={"why": WHY}).status_code == 403
        assert act(officer, request_id, "hand-over", days=2).status_code == 200
        for why in ("for the first time", "once more"):
            assert officer.post(f"{REQUESTS}/{request_id}/download", json={"why": why}).status_code == 200
        events = auditor.get(f"{REQUESTS}/{request_id}/events").json()
        assert events["unbroken"]
        downloads = [each for each in events["events"] if each["action"] == "disclosure.download"]
        assert [(each["actor"], each["purpose"]) for each in downloads] == [
            (NAMES[OFFICER], "for the first time"),
            (NAMES[OFFICER], "once more"),
        ]
        assert "J. Park" not in auditor.get(f"{REQUESTS}/events").text
        house.clock.pass_s(2 * 24 * 3600)
    with house.client(OFFICER) as officer:
        late = officer.post(f"{REQUESTS}/{request_id}/download", json={"why": WHY})
        assert (late.status_code, late.json()["error"]) == (403, "The package has expired.")


def test_a_package_that_was_changed_is_not_handed_out(house: City) -> None:
    with house.clients(OFFICER, APPROVER) as (officer, approver):
        request_id = packaged(officer, approver)
        assert act(officer, request_id, "hand-over").status_code == 200
        request = house.desk.store.get(request_id)
        path = house.desk.folder_of(request, "package") / next(iter(request.package))
        path.write_bytes(path.read_bytes()[:-9] + b"123456789")
        assert not officer.get(f"{REQUESTS}/{request_id}/verify").json().get("holds")
        assert officer.post(f"{REQUESTS}/{request_id}/download", json={"why": WHY}).status_code == 503


def test_refusal_and_postponement_are_letters(house: City) -> None:
    with house.client(OFFICER) as officer:
        request_id = filed(officer)
        assert act(officer, request_id, "postpone", until="2027-11-01").status_code == 403
        assert act(officer, request_id, "postpone", until="2026-11-01").json()["due"] == "2026-11-01"
        assert act(officer, request_id, "resume").json()["state"] == "filed"
        assert act(officer, request_id, "refuse").json()["state"] == "refused"
        page = officer.get(f"{REQUESTS}/{request_id}/letter")
        assert WHY in page.text
        assert "sandbox" in page.headers["content-security-policy"]
        assert officer.get(REQUESTS, params={"due_within": 100}).json()["requests"] == []
        assert len(officer.get(REQUESTS, params={"state": "refused"}).json()["requests"]) == 1


def test_a_correction_masks_more_and_needs_no_new_approval(house: City, tmp_path: Path) -> None:
    film(tmp_path / "film.mp4")
    original = luma(tmp_path / "film.mp4")
    with house.clients(OFFICER, APPROVER) as (officer, approver):
        request_id = filed(officer)
        chosen(officer, request_id)
        assert act(approver, request_id, "approve").status_code == 200
        assert waited(officer, act(officer, request_id, "render"))["state"] == "done"
        (video,) = officer.get(f"{REQUESTS}/{request_id}/videos").json()["videos"]
        more = {"camera": "gate", "epoch": video["epoch"], "first_seq": 0, "last_seq": 20, "box": [0, 40, 320, 192]}
        assert act(officer, request_id, "corrections", corrections=[more | {"box": [9, 9, 1, 1]}]).status_code == 422
        assert act(officer, request_id, "corrections", corrections=[more]).json()["state"] == "approved"
        assert waited(officer, act(officer, request_id, "render"))["state"] == "done"
        (tmp_path / "again.mp4").write_bytes(officer.get(f"{REQUESTS}/{request_id}/videos/video-1.mp4").content)
    pictures = luma(tmp_path / "again.mp4")
    for seq in (5, 15):
        assert abs(likeness(original[seq], pictures[seq], inside(me_at(seq), *SIZE))) < 0.4
