"""What the reader of a pipe does to the writes of a trainer: turns of half a second into standard output and into `cat`.

usage: writes.py TURNS LINES_PER_SECOND FILE

FILE gets {"out": [...], "cat": [...]}, microseconds of each write; the first turn of each is left out.
"""
import json
import os
import random
import subprocess
import sys
import time

turns, rate, told = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
SECONDS = 0.5
NAMES = ["policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "grad_norm", "learning_rate", "reward", "ratio_mean", "td_error"]
cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
readers = {"out": 1, "cat": cat.stdin.fileno()}
durations = {"out": [], "cat": []}
step = 0
time.sleep(1.5)  # the readers have started by then
for turn in range(turns):
    for name in ("out", "cat") if turn % 2 == 0 else ("cat", "out"):
        begin = time.perf_counter()
        for i in range(int(SECONDS * rate)):
            step += 1
            numbers = ",".join('"%s":%r' % (key, random.random() * 10) for key in NAMES)
            line = ('{"level":"INFO","fields":{"message":"update done","category":"TRAINER","step":%d,%s}}\n' % (step, numbers)).encode()
            due = begin + i / rate
            while (now := time.perf_counter()) < due:
                time.sleep(due - now)
            before = time.perf_counter()
            os.write(readers[name], line)
            if turn > 0:
                durations[name].append((time.perf_counter() - before) * 1e6)
        time.sleep(0.1)  # what is in the pipe is read, and no part of the other's turn
cat.stdin.close()
cat.wait()
with open(told, "w") as file:
    json.dump(durations, file)
