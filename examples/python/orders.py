"""Orders from a slow shop, three at a time; each result as soon as it is there, and one that fails."""
import time

from futured import ThreadPoolExecutor, as_completed


def fetch_order(number):
    time.sleep(0.05 * (4 - number % 4))
    if number == 3:
        raise ConnectionError("the shop hung up")
    return "order %d: %d items" % (number, number * number)


with ThreadPoolExecutor(max_workers=3) as pool:
    first, second, third = [pool.submit(fetch_order, n) for n in (7, 8, 9)]
    print(first.result(), second.result(), third.result(), sep="\n")

with ThreadPoolExecutor(max_workers=3) as pool:
    orders = {pool.submit(fetch_order, n): n for n in range(1, 6)}
    for future in as_completed(orders):
        try:
            print(future.result())
        except ConnectionError as e:
            print("order %d failed: %s" % (orders[future], e))
