"""The folders of requests: private, one for each, and gone with it."""

import shutil
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from services.disclosure.account import account_of
from services.disclosure.errors import Invalid, NotAllowed, Unavailable, Unknown
from services.disclosure.find import Found
from services.disclosure.package import ACCOUNT
from services.disclosure.parts import Part, sha256_of
from services.disclosure.render import Rendered
from services.disclosure.request import Request

_LISTED = "found.json"
_FOUND: TypeAdapter[list[Found]] = TypeAdapter(list[Found])
_RENDERED: TypeAdapter[Rendered] = TypeAdapter(Rendered)


class Folders:
    """What is made for requests.

    Args:
        root: each request has a folder of its own in it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, request: Request, name: str, *, anew: bool = False) -> Path:
        """A folder of a request, readable by its owner only; emptied if it is to be made anew. Raises Unavailable."""
        folder = self._root / request.id / name
        try:
            if anew:
                shutil.rmtree(folder, ignore_errors=True)
            for each in (self._root, folder.parent, folder):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"{folder}: can't be made ({error.strerror}).") from None
        return folder

    def clear(self, request: Request) -> None:
        """Nobody needs what was made for it any more: names go first, so that nothing is found half."""
        folder = self._root / request.id
        gone = folder.with_name(f".{folder.name}.gone")
        with suppress(FileNotFoundError):
            folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def keep_found(self, request: Request, found: list[Found]) -> None:
        """Keeps what a search found: times and places, nothing of how anyone looks. Pictures of another one go."""
        folder = self.of(request, "found", anew=True)
        (folder / _LISTED).write_bytes(_FOUND.dump_json(found))

    def found(self, request: Request) -> list[Found]:
        """What the last search found. Raises NotAllowed where there was none."""
        try:
            return _FOUND.validate_json((self.of(request, "found") / _LISTED).read_bytes())
        except (OSError, ValidationError):
            raise NotAllowed("Nothing was looked for yet.") from None

    def keep_picture(self, request: Request, number: int, jpeg: bytes) -> None:
        """Keeps the masked picture of a track."""
        path = self.picture(request, number)
        part = path.with_suffix(".part")
        part.write_bytes(jpeg)
        part.replace(path)

    def picture(self, request: Request, number: int) -> Path:
        """Where the masked picture of a track lies, once somebody has looked at it."""
        return self.of(request, "found") / f"{number:04d}.jpg"

    def keep_account(self, request: Request, rendered: Rendered) -> str:
        """Keeps the account of a rendering beside the videos; returns its SHA-256 in hex."""
        path = self.of(request, "videos") / ACCOUNT
        path.write_bytes(_RENDERED.dump_json(rendered))
        return sha256_of(path)

    def account(self, request: Request) -> Rendered:
        """What was written down of the rendering. Raises Invalid where it is not what was written."""
        path = self.of(request, "videos") / ACCOUNT
        try:
            content = path.read_bytes()
            if sha256_of(path) != request.rendered.get(ACCOUNT):
                raise Invalid("The account of the rendering was changed: render it again.")
            return _RENDERED.validate_json(content)
        except (OSError, ValidationError):
            raise Invalid("There is no account of the rendering: render it again.") from None

    def video(self, request: Request, name: str) -> tuple[Path, Part]:
        """A rendered video, with what is told of its frames beside it. Raises Unknown where there is none."""
        part = next((part for part in self.account(request).parts if part.name == name), None)
        if part is None:
            raise Unknown(f"The request {request.id} has no video {name}.")
        path = self.of(request, "videos") / part.name
        if not account_of(path).is_file() or sha256_of(account_of(path)) != part.told:
            raise Invalid("The account of the video's frames was changed: render it again.")
        return path, part

    def package(self, request: Request) -> Path:
        """Where its package lies, once there is one."""
        return self.of(request, "package") / f"disclosure-{request.id}.zip"
