"""What a trainer feels: writes lines at a steady rate to standard output and tells on standard error how long each write took.

usage: write-latency.py SECONDS LINES_PER_SECOND
"""
import json
import os
import sys
import time

seconds, rate = float(sys.argv[1]), int(sys.argv[2])
durations = []
begin = time.perf_counter()
for i in range(int(seconds * rate)):
    line = json.dumps({"category": "TRAINER", "step": i, "loss": 1 / (i + 1), "kl": i * 0.5, "entropy": i * 0.25, "note": "x" * 120}).encode() + b"\n"
    due = begin + i / rate
    while (now := time.perf_counter()) < due:
        time.sleep(due - now)
    before = time.perf_counter()
    os.write(1, line)
    durations.append(time.perf_counter() - before)
durations.sort()
pick = lambda q: durations[min(len(durations) - 1, int(q * len(durations)))] * 1e6
print(json.dumps({"writes": len(durations), "p50_us": pick(0.5), "p99_us": pick(0.99), "max_us": durations[-1] * 1e6}), file=sys.stderr)
