"""Ask several, take the first answer, cancel the rest."""
import time

from futured import FIRST_COMPLETED, ProcessPoolExecutor, wait


def ask(mirror, seconds):
    time.sleep(seconds)
    return mirror


if __name__ == "__main__":
    with ProcessPoolExecutor(max_workers=2) as pool:
        asked = [pool.submit(ask, "near", 0.05)] + [pool.submit(ask, "far %d" % i, 0.6) for i in range(8)]
        done, not_done = wait(asked, return_when=FIRST_COMPLETED)
        print("first:", done.pop().result())
        print("cancelled:", sum(future.cancel() for future in not_done) >= 3)
