"""A frame that leaves says when it was taken, so that its age goes on where frames stop."""

from prometheus_client import REGISTRY, generate_latest

from services.runtime.metrics import frame_left

_NEWEST = "veil_camera_newest_frame_timestamp_seconds"


def test_the_newest_frame_of_a_camera_is_known_by_its_capture_time() -> None:
    labels = {"stage": "encoder", "camera": "newest-live"}
    frame_left("encoder", "newest-live", 1_700_000_000_500_000, 1_700_000_001_000_000)
    assert REGISTRY.get_sample_value(_NEWEST, labels) == 1_700_000_000.5
    assert REGISTRY.get_sample_value("veil_camera_age_seconds", labels) == 0.5


def test_a_file_has_no_capture_time_and_is_never_late() -> None:
    frame_left("encoder", "newest-file", 0, 1_700_000_001_000_000)
    assert REGISTRY.get_sample_value(_NEWEST, {"stage": "encoder", "camera": "newest-file"}) is None


def test_no_series_comes_twice() -> None:
    assert b"_created" not in generate_latest().replace(b"_created_timestamp_seconds", b"")
