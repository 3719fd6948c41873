"""The contact sheet: one self-contained page with the place of every suspect, each masked again."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from services.auditor.suspects import Suspect
from services.auditor.video import FileAudit

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Audit</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222 }}
.places {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1rem }}
figure {{ margin: 0 }} img {{ width: 100% }} figcaption {{ font-size: 13px; color: #555 }}
</style>
<h1>{count}</h1>
<p>Each picture shows where something looks like a face or a plate. The thing itself was masked again for this page.</p>
{files}
</html>
"""


def write_sheet(path: Path, audits: Sequence[FileAudit]) -> None:
    """Writes the page, whole or not at all. Raises OSError."""
    count = sum(len(audit.suspects) for audit in audits)
    files = "\n".join(_section(audit) for audit in audits)
    part = path.with_name(f"{path.name}.part")
    part.write_text(_PAGE.format(count=_suspects(count), files=files), encoding="utf-8")
    part.replace(path)


def _section(audit: FileAudit) -> str:
    places = "\n".join(_figure(suspect) for suspect in audit.suspects)
    facts = f"{audit.looks} looks, {audit.closed} closed pictures left out, {_suspects(len(audit.suspects))}"
    return f'<h2>{html.escape(audit.path.name)}</h2>\n<p>{facts}</p>\n<div class="places">\n{places}\n</div>'


def _figure(suspect: Suspect) -> str:
    picture = base64.b64encode(suspect.evidence).decode("ascii")
    x1, y1, x2, y2 = (round(value) for value in suspect.box)
    words = f"{suspect.kind} {suspect.score:.2f} at {suspect.t_s:.2f} s, frame {suspect.seq}, {x1}, {y1} to {x2}, {y2}"
    seen = f"seen {suspect.sightings} times from {suspect.first_s:.2f} to {suspect.last_s:.2f} s"
    image = f'<img alt="" src="data:image/jpeg;base64,{picture}">'
    return f"<figure>{image}<figcaption>{words}<br>{seen}</figcaption></figure>"


def _suspects(count: int) -> str:
    return "no suspect" if not count else f"{count} suspect{'s' if count > 1 else ''}"
