"""What takes long, over the API: bounded, one of a request, and done again after a restart."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("argon2")
pytest.importorskip("sqlalchemy")

from services.accounts.model import Role
from services.disclosure.rest.jobs import Jobs, Stopped
from services.schema import pb
from tests.support.api import REQUESTS, City, act, city, filed, waited

OFFICER = Role.OFFICER


def test_after_a_restart_a_job_is_done_again(tmp_path: Path, units: list[pb.AccessUnit]) -> None:
    with city(tmp_path, units) as house, house.client(OFFICER) as officer:
        request_id = filed(officer)
        job = act(officer, request_id, "find").json()
    with city(tmp_path, units) as house, house.client(OFFICER) as officer:
        answer = officer.get(f"{REQUESTS}/{request_id}/jobs/{job['id']}")
        assert answer.status_code == 404
        assert "asked for again" in answer.json()["error"]
        assert waited(officer, act(officer, request_id, "find"))["state"] == "done"


def test_jobs_are_bounded_and_one_at_a_time_of_a_request(house: City) -> None:
    hold = threading.Event()
    begun = threading.Event()

    def slow(_: Any) -> None:
        begun.set()
        hold.wait(60)

    house.jobs.begin("other", "find", "test", slow)
    assert begun.wait(30)
    try:
        with house.client(OFFICER) as officer:
            request_id = filed(officer)
            first = act(officer, request_id, "find")
            assert first.json()["state"] == "waiting"
            assert act(officer, request_id, "find").status_code == 409
            answers = [act(officer, filed(officer), "find").status_code for _ in range(15)]
            assert answers == [202] * 14 + [503]
    finally:
        hold.set()


def test_a_stop_ends_what_runs() -> None:
    jobs = Jobs()
    began = threading.Event()
    ended: list[type[BaseException]] = []

    def reads(job: Any) -> None:
        try:
            for step in range(10_000):
                job.came_to(step / 10_000)
                began.set()
                time.sleep(0.01)
        except Stopped:
            ended.append(Stopped)
            raise

    job = jobs.begin("a", "render", "test", reads)
    waiting = jobs.begin("b", "render", "test", reads)
    assert began.wait(30)
    jobs.close()
    assert ended == [Stopped]
    assert (job.state, job.error) == ("failed", "It was interrupted: do it again.")
    assert waiting.state == "waiting"


def test_tracks_are_suggested_by_a_job(house: City) -> None:
    with house.client(OFFICER) as officer:
        request_id = filed(officer)
        assert waited(officer, act(officer, request_id, "find"))["state"] == "done"
        job = waited(officer, act(officer, request_id, "suggest", like=[1]))
        assert job["state"] == "done"
        assert all(set(each) == {"number", "likeness"} for each in job["result"])
        assert waited(officer, act(officer, request_id, "suggest", like=[77]))["state"] == "failed"


def test_a_range_of_which_nothing_is_kept_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with city(tmp_path, None) as house, house.client(OFFICER) as officer:
        request_id = filed(officer)
        job = waited(officer, act(officer, request_id, "find"))
        assert job["state"] == "failed"
        assert "it has expired" in job["error"]
        assert officer.get(f"{REQUESTS}/{request_id}").json()["state"] == "filed"
