"""A PostgreSQL server for tests, out of an installed Debian package: it is theirs alone and keeps nothing."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy import create_engine, text

from deploy.stack.process import ServerProcess
from tests.support.servers import absent

_INSTALLED = "/usr/lib/postgresql"
_START_S = 60
# It refuses to run as root.
_USER, _GROUP = "nobody", "nogroup"


class PostgresServer:
    """One server on a free port of this machine, with its data in a folder of its own."""

    def __init__(self) -> None:
        programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="veil-postgres-"))
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


def _programs() -> Path:
    """Folder of the server's programs; the test is left out where there are none."""
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path(_INSTALLED).glob("*/bin/postgres"))
    if not versions:
        absent("the vault's index on PostgreSQL needs a server: apt-get install postgresql")
    return versions[-1].parent
