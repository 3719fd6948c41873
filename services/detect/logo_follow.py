"""The logo detector of a service: takes up a changed folder of logos while it runs."""

import threading
from collections.abc import Callable, Sequence
from time import monotonic

from services.detect.interface import Boxes, DetectorError, Image
from services.detect.logo import LogoDetector
from services.detect.logo_folder import LogoError, LogoFolder


class FollowedLogos:
    """Looks for the logos that are in a folder now, not for those that were when it was made.

    The files' times and sizes are looked at again with the first picture after `recheck_s`, and read where they differ.
    A folder that can't be used any more, or is empty, fails every look until it is right again: nobody can tell which
    logo the new files meant to hide.

    Args:
        folder: of registered logos.
        floor: lowest score that is reported.
        recheck_s: seconds after which the folder is looked at again; 0: never.
        clock: seconds, monotonic.

    Raises LogoError if the folder can't be used, or holds no logo.
    """

    name = LogoDetector.name
    model = LogoDetector.model

    def __init__(
        self, folder: LogoFolder, floor: float, recheck_s: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._folder = folder
        self._floor = floor
        self._recheck_s = recheck_s
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = folder.stamp()
        self._checked_s = clock()
        self._detector = self._read()
        self._fault = ""

    @property
    def version(self) -> str:
        """Of the logos that were last read."""
        return self._detector.version

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        """Boxes of each image. All images together have `timeout_s`, and so has reading changed logos.

        Raises TimeoutError between two logos, DetectorError if the folder can't be used.
        """
        began = monotonic()
        detector = self._current()
        return detector.detect(images, timeout_s - (monotonic() - began))

    def _current(self) -> LogoDetector:
        with self._lock:
            if self._recheck_s and self._clock() - self._checked_s >= self._recheck_s:
                self._check()
            if self._fault:
                raise DetectorError(self._fault)
            return self._detector

    def _check(self) -> None:
        self._checked_s = self._clock()
        try:
            stamp = self._folder.stamp()
            # What failed is read again even where nothing seems to have changed.
            if stamp != self._stamp or self._fault:
                self._detector = self._read()
            self._stamp, self._fault = stamp, ""
        except LogoError as error:
            self._fault = str(error)

    def _read(self) -> LogoDetector:
        logos, digest = self._folder.read_all()
        if not logos:
            raise LogoError("no logo is registered: run `veil logo add NAME PICTURE`")
        return LogoDetector(logos, digest, self._floor)
