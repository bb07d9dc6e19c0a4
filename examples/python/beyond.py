"""What the standard library does not have: ids, priorities, retries, limits, progress, and killing what runs."""
import os
import tempfile
import time

import futured


def at_the_second_attempt(path):
    if not os.path.exists(path):
        open(path, "w").close()
        raise OSError("not yet")
    return "done"


def work(steps):
    for step in range(steps):
        futured.progress(step + 1, steps, "step")
        time.sleep(0.01)
    return steps


if __name__ == "__main__":
    with futured.ProcessPoolExecutor(2) as pool, tempfile.TemporaryDirectory() as directory:
        print(pool.options(retries=1).submit(at_the_second_attempt, directory + "/mark").result())
        slow = pool.options(name="slow", timeout=0.2).submit(time.sleep, 60)
        print(type(slow.exception()).__name__)
        endless = pool.submit(time.sleep, 3600)
        while not endless.running():
            time.sleep(0.01)
        print("killed:", endless.kill())
        first = pool.submit(work, 3)
        print(pool.options(after=first, priority=5).submit(len, "after").result(), first.progress)
        print(futured.attach(first.id).result())
        lost = pool.submit(os._exit, 7)
        try:
            lost.result()
        except futured.WorkerLostError as e:
            print("lost, with status", e.exit)
        print(pool.submit(len, "the pool goes on").result())
