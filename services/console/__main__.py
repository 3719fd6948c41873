"""`python -m services.console`: the console as a process of its own."""

import sys

from services.console.process import run

if __name__ == "__main__":
    sys.exit(run())
