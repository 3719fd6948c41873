"""`python -m deploy.stack up|down|status`: the whole system on this machine."""

import argparse
import sys
from pathlib import Path

from deploy.stack.down import down
from deploy.stack.state import FOLDER
from deploy.stack.status import status
from deploy.stack.up import add_options, up


def main() -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (("up", "start it"), ("down", "end it"), ("status", "say what runs")):
        command = commands.add_parser(name, help=words)
        command.add_argument("--folder", type=Path, default=FOLDER, help="data, logs and stack.json (out/stack)")
        if name == "up":
            add_options(command)
    given = parser.parse_args()
    if given.command == "up":
        return up(given)
    return down(given.folder) if given.command == "down" else status(given.folder)


sys.exit(main())
