"""`python -m services.insight`: the statistics as a process of its own."""

import sys

from services.insight.process import prepare
from services.runtime.service import serve

sys.exit(serve("insight", prepare))
