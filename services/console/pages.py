"""The page: one document for every address, and the built files that it loads."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

STATIC = Path(__file__).resolve().parent / "static"
ADDRESSES = ("/", "/wall", "/camera", "/insight", "/health", "/requests", "/policy")
"""Beginnings of the addresses at which the page shows something; web/src/pages.ts has the same ones."""

_FILES = {
    "app.js": "text/javascript",
    "app.css": "text/css",
    "icon.svg": "image/svg+xml",
    "licences.txt": "text/plain",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A built file, compressed once; none of it is anybody's data.

    A browser asks anew each time whether it is still the same, so that no page outlives an update.
    """

    content: bytes
    packed: bytes
    media_type: str
    tag: str

    @classmethod
    def of(cls, name: str, media_type: str) -> "_File":
        content = (STATIC / name).read_bytes()
        return cls(
            content, gzip.compress(content, mtime=0), media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        )

    def answer(self, request: Request) -> Response:
        headers = {"Cache-Control": "no-cache", "ETag": self.tag, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(self.packed, media_type=self.media_type, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def router() -> APIRouter:
    """The endpoints; nobody has to be logged in for them, they hold nothing but the program."""
    made = APIRouter()
    document = _File.of("index.html", "text/html")
    files = {name: _File.of(name, media_type) for name, media_type in _FILES.items()}

    def page(request: Request) -> Response:
        return document.answer(request)

    def file(name: str, request: Request) -> Response:
        if name not in files:
            raise HTTPException(404, "There is no such file.")
        return files[name].answer(request)

    for address in ADDRESSES:
        made.add_api_route(address, page, methods=["GET"], include_in_schema=False)
        if address != "/":
            made.add_api_route(f"{address}/{{rest:path}}", page, methods=["GET"], include_in_schema=False)
    made.add_api_route("/static/{name}", file, methods=["GET"], include_in_schema=False)
    return made
