"""Log set-up: one line an event, no record contents, ever."""

import json
import logging
import re
import sys
import time
from typing import TextIO

# Up to the last @ of the word: a password may hold / or @, and hiding too much is the safe side.
_CREDENTIALS = re.compile(r"(?<=://)\S*@")


def without_credentials(text: str) -> str:
    """`text` with the user and password of every URL in it replaced by `***`."""
    return _CREDENTIALS.sub("***@", text)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_credentials(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": without_credentials(record.getMessage()),
        }
        if record.exc_info:
            event["error"] = without_credentials(self.formatException(record.exc_info))
        return json.dumps(event, ensure_ascii=False)


def configure_logs(level: str = "INFO", *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Sends logs to `stream` (standard error) as plain lines or JSON.

    `kafka` loggers stay at INFO or above whatever the level: at DEBUG they print record bytes, which are pictures.
    FFmpeg's own messages are dropped, since they name files and packets outside our control.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if as_json else _Plain("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    kafka = logging.getLogger("kafka")
    kafka.setLevel(max(logging.INFO, root.level))
    logging.getLogger("libav").setLevel(logging.CRITICAL)
