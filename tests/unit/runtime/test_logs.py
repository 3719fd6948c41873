"""Logs hold no credentials and no record bytes."""

import io
import json
import logging

import pytest

from services.runtime.logs import configure_logs, without_credentials


def test_credentials_in_urls_are_hidden() -> None:
    assert without_credentials("open rtsp://admin:pa@ss@10.0.0.1/1 failed") == "open rtsp://***@10.0.0.1/1 failed"
    assert without_credentials("see file.mp4 and a@b") == "see file.mp4 and a@b"


@pytest.mark.parametrize("as_json", [False, True])
def test_i3_messages_and_tracebacks_are_cleaned(as_json: bool) -> None:
    stream = io.StringIO()
    configure_logs("DEBUG", as_json=as_json, stream=stream)
    try:
        raise OSError("cannot open rtsp://user:secret@camera/1")
    except OSError:
        logging.getLogger("veil.test").exception("camera %s", "rtsp://user:secret@camera/1")
    assert "secret" not in stream.getvalue()
    if as_json:
        assert json.loads(stream.getvalue().splitlines()[0])["level"] == "error"


def test_i3_kafka_loggers_never_go_below_info() -> None:
    configure_logs("DEBUG", stream=io.StringIO())
    assert logging.getLogger("kafka.protocol").getEffectiveLevel() == logging.INFO
    configure_logs("ERROR", stream=io.StringIO())
    assert logging.getLogger("kafka").getEffectiveLevel() == logging.ERROR
