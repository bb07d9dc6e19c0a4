#!/usr/bin/python3
"""futured's executors against the standard library's, from Python: in turns, in the same run.

    bench/python.py [ROUNDS [WORKERS]]       5 and 2

A round measures each executor once, in an order that moves on from round to round. Of the rounds the medians are shown, and the ratio to
ProcessPoolExecutor round by round, since what disturbs a round disturbs all in it. A daemon of its own is started, and ended."""
import concurrent.futures
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "client", "python"))
import futured  # noqa: E402

NOOPS, TRIPS, ITEMS, CHUNK = 5000, 1000, 100000, 100
BASE = "concurrent.futures.ProcessPoolExecutor"
SHAPES = {
    BASE: concurrent.futures.ProcessPoolExecutor,
    "futured.ProcessPoolExecutor": futured.ProcessPoolExecutor,
    "concurrent.futures.ThreadPoolExecutor": concurrent.futures.ThreadPoolExecutor,
    "futured.ThreadPoolExecutor": futured.ThreadPoolExecutor,
}
WHAT = [("no-op submits", "/s", True), ("round trip", "us", False), ("its p90", "us", False), ("map in chunks of %d" % CHUNK, "items/s", True),
        ("1 MiB there and back", "us", False)]


def nothing():
    pass


def same(x):
    return x


def trips(count, call):
    """Microseconds of each, sorted."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    return sorted(times)


def measure(shape, workers):
    with shape(workers) as pool:
        list(pool.map(same, range(100)))
        start = time.perf_counter()
        concurrent.futures.wait([pool.submit(nothing) for _ in range(NOOPS)])
        rate = NOOPS / (time.perf_counter() - start)
        trip = trips(TRIPS, lambda: pool.submit(nothing).result())
        start = time.perf_counter()
        assert sum(1 for _ in pool.map(same, range(ITEMS), chunksize=CHUNK)) == ITEMS
        items = ITEMS / (time.perf_counter() - start)
        large = bytes(1 << 20)
        there_and_back = trips(20, lambda: pool.submit(same, large).result())
        return rate, trip[len(trip) // 2], trip[len(trip) * 9 // 10], items, there_and_back[10]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    figures, names = {name: [] for name in SHAPES}, list(SHAPES)
    for i in range(rounds):
        for name in names[i % len(names):] + names[:i % len(names)]:
            figures[name].append(measure(SHAPES[name], workers))
    print("%d rounds, %d workers, %d processors, Python %d.%d.%d" % (rounds, workers, os.cpu_count(), *sys.version_info[:3]))
    for at, (what, unit, more_is_better) in enumerate(WHAT):
        print(what)
        for name in names:
            ratios = [mine[at] / base[at] if more_is_better else base[at] / mine[at] for mine, base in zip(figures[name], figures[BASE])]
            print("    %-40s %10.0f %-8s %6.2f times as good" % (name, statistics.median(f[at] for f in figures[name]), unit, statistics.median(ratios)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        for name in [name for name in os.environ if name.startswith("FUTURED_") and name != "FUTURED_BUILD"]:
            del os.environ[name]
        os.environ.update(XDG_RUNTIME_DIR=directory, XDG_STATE_HOME=directory)
        try:
            main()
        finally:
            subprocess.run([os.path.join(ROOT, "build", "bin", "fut"), "-q", "daemon", "stop", "--no-start"])
