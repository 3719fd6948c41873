"""`python -m services.tracker`: the tracker as a process of its own."""

import sys

from services.runtime.service import serve
from services.tracker.process import prepare

sys.exit(serve("tracker", prepare))
