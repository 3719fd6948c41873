"""`python -m services.vault`: the vault as a process of its own."""

import sys

from services.runtime.service import serve
from services.vault.process import prepare

sys.exit(serve("vault", prepare))
