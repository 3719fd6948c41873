"""`python -m services.decoder`: the decoder as a process of its own."""

import sys

from services.decoder.process import prepare
from services.runtime.service import serve

sys.exit(serve("decoder", prepare))
