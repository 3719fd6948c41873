"""Runs one program and prints what it cost: `python spawn.py DEADLINE_S COMMAND…`."""

import json
import os
import subprocess
import sys
import time
from threading import Timer

started = time.perf_counter()
process = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
watch = Timer(float(sys.argv[1]), process.kill)
watch.start()
_, status, used = os.wait4(process.pid, 0)
wall = time.perf_counter() - started
watch.cancel()
print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "wall_s": wall, "peak_rss_mb": used.ru_maxrss / 1024}))
sys.exit(abs(os.waitstatus_to_exitcode(status)))
