"""`python -m services.auditor`: the auditor as a process of its own."""

import os
import sys

from services.auditor.process import prepare
from services.runtime.service import serve

# Looking is heavy and nothing waits for it: on a machine that it shares, the line comes first.
os.nice(10)
sys.exit(serve("auditor", prepare))
