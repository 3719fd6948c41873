"""The page: one document for every address, and the built files that it loads."""

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

STATIC = Path(__file__).resolve().parent / "static"
ADDRESSES = ("/", "/wall", "/camera", "/insight", "/health", "/requests", "/policy")
"""Beginnings of the addresses at which the page shows something; web/src/pages.ts has the same ones."""

_FILES = {
    "app.js": "text/javascript",
    "app.css": "text/css",
    "icon.svg": "image/svg+xml",
    "licences.txt": "text/plain",
}
# Asked for anew each time, and answered with «not changed» by its tag: none of it is anybody's data.
_KEPT = {"Cache-Control": "no-cache"}


def router() -> APIRouter:
    """The endpoints; nobody has to be logged in for them, they hold nothing but the program."""
    made = APIRouter()

    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", media_type="text/html", headers=_KEPT)

    def file(name: str) -> FileResponse:
        if name not in _FILES:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(STATIC / name, media_type=_FILES[name], headers=_KEPT)

    for address in ADDRESSES:
        made.add_api_route(address, page, methods=["GET"], include_in_schema=False)
        if address != "/":
            made.add_api_route(f"{address}/{{rest:path}}", page, methods=["GET"], include_in_schema=False)
    made.add_api_route("/static/{name}", file, methods=["GET"], include_in_schema=False)
    return made
