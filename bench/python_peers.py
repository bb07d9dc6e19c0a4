"""No-op tasks through the pools that Python has, and through futured's from Python: one of them a run, for bench/peers.

    python_peers.py WHAT      prints `us` (median round trip) and `rate` (submits with their results, a second)"""
import concurrent.futures
import statistics
import sys
import time


def nothing(*_):
    pass


def measure(call, many, trips, count):
    call()
    for _ in range(20):
        call()
    times = []
    for _ in range(trips):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    begin = time.perf_counter()
    many(count)
    print("us %.2f\nrate %.0f" % (statistics.median(times) * 1e6, count / (time.perf_counter() - begin)))


def executor(pool, trips, count):
    with pool:
        measure(lambda: pool.submit(nothing).result(),
                lambda n: concurrent.futures.wait([pool.submit(nothing) for _ in range(n)]), trips, count)


def dask():
    import distributed
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            measure(lambda: client.submit(nothing, pure=False).result(),
                    lambda n: client.gather(client.map(nothing, range(n), pure=False)), 50, 1000)


def celery(url):
    import celery
    app = celery.Celery("peer", broker=url, backend=url)
    noop = app.signature("peer.noop")
    measure(lambda: noop.apply_async().get(interval=0.001),
            lambda n: [r.get(interval=0.001) for r in [noop.apply_async() for _ in range(n)]], 100, 1000)


def main():
    what = sys.argv[1]
    if what == "threads":
        executor(concurrent.futures.ThreadPoolExecutor(2), 3000, 30000)
    elif what == "processes":
        executor(concurrent.futures.ProcessPoolExecutor(2), 1000, 5000)
    elif what == "futured":
        import futured
        executor(futured.ProcessPoolExecutor(2), 1000, 5000)
    elif what == "dask":
        dask()
    elif what == "celery":
        celery(sys.argv[2])


if __name__ == "__main__":
    main()
