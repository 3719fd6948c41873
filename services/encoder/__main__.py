"""`python -m services.encoder`: the encoder as a process of its own."""

import sys

from services.encoder.process import prepare
from services.runtime.service import serve

sys.exit(serve("encoder", prepare))
