"""The demo: fetches a real street video and the models, masks the video, and prints what it did.

Results are in out/demo/: masked.mp4, report.html, summary.json, metadata.jsonl, and frames.jpg, some masked frames side
by side. Then it offers to show the video as two to four live cameras in the console, as many as there are cores.
"""

import json
import os
import secrets
import shlex
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from deploy.samples import sample
from services.accounts.accounts import Accounts
from services.accounts.settings import AccountSettings
from services.report.thumbnails import thumbnails

OUT = Path(__file__).resolve().parent.parent / "out" / "demo"
VIDEO = "bikes.mp4"
MOMENTS_S = (1.0, 1.4, 4.6, 5.4, 7.0, 9.4)
COLUMNS = 3
PORT = 8080
ACCOUNT = "demo"
ROLES = ("viewer", "admin")
"""Looks at the cameras, and changes what they show."""
CHANGES = "changes"
CAMERAS = (("crossing", "public"), ("car-park", "parking"), ("shop-window", "store"), ("bus-stop", "public"))
"""Live cameras of the console, and their policies. One takes about half a core."""


def veil(*arguments: str) -> None:
    """Runs the `veil` command and ends with its status if it fails."""
    status = subprocess.run([sys.executable, "-m", "services", *arguments], check=False).returncode  # noqa: S603
    if status:
        sys.exit(status)


def contact_sheet(video: Path, path: Path) -> None:
    """Writes frames of a masked video side by side into one JPEG."""
    jpegs = [np.frombuffer(picture.jpeg, np.uint8) for picture in thumbnails(video, list(MOMENTS_S))]
    decoded = (cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in jpegs)
    pictures = [picture for picture in decoded if picture is not None]
    rows = [np.hstack(pictures[i : i + COLUMNS]) for i in range(0, len(pictures), COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    """Runs the demo."""
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        video = sample(VIDEO)
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    veil("models", "install", "face", "plate")
    veil(
        *("redact", str(video), str(OUT / "masked.mp4"), "--overwrite", "--badge"),
        *("--report", str(OUT / "report.html")),
        *("--summary", str(OUT / "summary.json")),
        *("--metadata", str(OUT / "metadata.jsonl")),
    )
    contact_sheet(OUT / "masked.mp4", OUT / "frames.jpg")
    summary = json.loads((OUT / "summary.json").read_text())
    lines = {
        "video": f"{summary['frames']} frames, {summary['width']}×{summary['height']}, {summary['duration_s']:.0f} s",
        "masked": ", ".join(f"{count} {kind} masks" for kind, count in summary["masked"].items()) or "nothing",
        "tracks": ", ".join(f"{count} {kind}s" for kind, count in summary["tracks"].items()) or "none",
        "closed": f"{summary['closed']} frames",
        "speed": f"{summary['fps']:.0f} frames/s, {summary['cpu_s_per_frame'] * 1000:.1f} ms of CPU a frame",
        "masked video": str(OUT.relative_to(Path.cwd()) / "masked.mp4"),
        "some frames": str(OUT.relative_to(Path.cwd()) / "frames.jpg"),
        "report": str(OUT.relative_to(Path.cwd()) / "report.html"),
    }
    for name, text in lines.items():
        print(f"{name:>14}  {text}")  # noqa: T201, the command's result
    offer_console(video)


def offer_console(video: Path) -> None:
    """Says how to look at the video as live cameras in a browser, and does it where somebody at the keyboard agrees."""
    site = OUT / "site.yaml"
    # More than the cores keep up with would be closed most of the time, as it should be, and tell a newcomer nothing.
    fitting = max(2, len(os.sched_getaffinity(0)))
    cameras = "".join(
        f"  - {{id: {name}, source: {json.dumps(str(video))}, loop: true, policy: {policy}}}\n"
        for name, policy in CAMERAS[:fitting]
    )
    (OUT / CHANGES).mkdir(exist_ok=True)
    site.write_text(f"name: demo\nchanges: {CHANGES}\ncameras:\n{cameras}")
    databases = {f"VEIL_{name.upper()}_DATABASE": f"sqlite:///{OUT / name}.db" for name in ("accounts", "insight")}
    password = secrets.token_urlsafe(12)
    with closing(Accounts(AccountSettings(database=databases["VEIL_ACCOUNTS_DATABASE"]))) as accounts:
        if accounts.book.find(ACCOUNT) is None:
            accounts.add("make demo", ACCOUNT, password, ROLES, sites=["*"])
        else:
            accounts.change("make demo", ACCOUNT, roles=ROLES)
            accounts.set_password("make demo", ACCOUNT, password)
    command = ("run", str(site), "--console", str(PORT), "--quiet")
    print(  # noqa: T201, the command's result
        f"\nAs live cameras in a browser, at http://127.0.0.1:{PORT}/, until Ctrl-C:\n"
        f"  {' '.join(f'{name}={shlex.quote(value)}' for name, value in databases.items())} \\\n"
        f"    .venv/bin/veil {shlex.join(command)}\n"
        f"Log in as {ACCOUNT} with the password {password} (shown this once; a new one with each demo)."
    )
    if sys.stdin.isatty() and sys.stdout.isatty() and input("Show it now? [y/N] ").strip().lower() in ("y", "yes"):
        os.environ.update(databases)
        veil(*command)


if __name__ == "__main__":
    main()
