"""futured's executors against ProcessPoolExecutor, in turns, in the same run: medians of so many rounds (5).

    PYTHONPATH=client/python python3 tests/python/speed.py [ROUNDS]"""
import concurrent.futures
import statistics
import sys
import time

import futured

NOOPS, TRIPS, ITEMS, CHUNK = 5000, 1000, 100000, 100


def nothing():
    pass


def same(x):
    return x


def measure(shape):
    with shape(2) as pool:
        list(pool.map(same, range(10)))
        start = time.perf_counter()
        concurrent.futures.wait([pool.submit(nothing) for _ in range(NOOPS)])
        rate = NOOPS / (time.perf_counter() - start)
        trips = []
        for _ in range(TRIPS):
            start = time.perf_counter()
            pool.submit(nothing).result()
            trips.append(time.perf_counter() - start)
        start = time.perf_counter()
        assert sum(1 for _ in pool.map(same, range(ITEMS), chunksize=CHUNK)) == ITEMS
        return rate, statistics.median(trips) * 1e6, ITEMS / (time.perf_counter() - start)


def main():
    shapes = {"concurrent.futures.ProcessPoolExecutor": concurrent.futures.ProcessPoolExecutor,
              "futured.ProcessPoolExecutor": futured.ProcessPoolExecutor, "futured.ThreadPoolExecutor": futured.ThreadPoolExecutor}
    figures = {name: [] for name in shapes}
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5):
        for name, shape in shapes.items():
            figures[name].append(measure(shape))
    for name, rounds in figures.items():
        rate, trip, items = map(statistics.median, zip(*rounds))
        print("%-40s %7.0f no-op submits/s  %5.0f us round trip  %8.0f items/s by map in chunks" % (name, rate, trip, items))


if __name__ == "__main__":
    main()
