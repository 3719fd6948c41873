"""`python -m services.auditor`: the auditor as a process of its own."""

import sys

from services.auditor.process import prepare
from services.runtime.service import serve

sys.exit(serve("auditor", prepare))
