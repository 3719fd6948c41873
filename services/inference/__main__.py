"""`python -m services.inference`: inference as a process of its own."""

import sys

from services.inference.process import prepare
from services.runtime.service import serve

sys.exit(serve("inference", prepare))
