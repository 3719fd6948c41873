"""`python -m services.disclosure`: the API of requests and accounts as a process of its own."""

import sys

from services.disclosure.process import run

sys.exit(run())
