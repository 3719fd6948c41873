"""`python -m services.renderer`: the renderer as a process of its own."""

import sys

from services.renderer.process import prepare
from services.runtime.service import serve

sys.exit(serve("renderer", prepare))
