"""A line that masks a site in this process with its console beside it, for tests in a real browser."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import pytest

from services.accounts.accounts import Accounts
from services.accounts.settings import AccountSettings
from services.bus.interface import Bus
from services.console.process import console_beside
from services.detect.interface import Detector
from services.embedded.site import run_site
from services.policy.site import Site, load_site

RATE = 8
"""Pictures a second of `slowly`."""

_START_S = _STOP_S = 60


@dataclass
class ConsoleLine:
    """A line with its console; what either raises is in `error`."""

    folder: Path
    site: Site
    detectors: Mapping[str, Detector]
    address: str = ""
    ready: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def run(self) -> None:
        """Runs until `stop` is set."""
        try:
            run_site(self.site, self.stop, detectors=self.detectors, beside=self._beside)
        except BaseException as error:
            self.error = error
        finally:
            self.ready.set()

    @contextmanager
    def _beside(self, bus: Bus) -> Iterator[None]:
        with console_beside(self.site, 0, bus) as at:
            self.address = at.address
            self.ready.set()
            yield


@contextmanager
def console_line(
    folder: Path, site: str, detectors: Mapping[str, Detector], people: Callable[[Accounts], object]
) -> Iterator[ConsoleLine]:
    """Runs it while the block does.

    Args:
        folder: for the site file, accounts and statistics.
        site: the site file's text.
        detectors: by the names that policies use.
        people: makes the accounts.
    """
    (folder / "site.yaml").write_text(site)
    with closing(accounts_of(folder)) as accounts:
        people(accounts)
    line = ConsoleLine(folder, load_site(folder / "site.yaml"), detectors)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VEIL_ACCOUNTS_DATABASE", _database(folder))
        patched.setenv("VEIL_INSIGHT_DATABASE", f"sqlite:///{folder / 'insight.db'}")
        thread = threading.Thread(target=line.run, name="line")
        thread.start()
        try:
            assert line.ready.wait(_START_S)
            assert line.error is None
            yield line
        finally:
            line.stop.set()
            thread.join(_STOP_S)
    assert line.error is None


def accounts_of(folder: Path) -> Accounts:
    """The accounts of a line in `folder`."""
    return Accounts(AccountSettings(database=_database(folder)))


def slowly(video: Path, out: Path) -> Path:
    """The same pictures at a rate that a busy machine masks four times over, for a quarter of a minute; gives `out`."""
    with av.open(str(video)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out


def _database(folder: Path) -> str:
    return f"sqlite:///{folder / 'accounts.db'}"
