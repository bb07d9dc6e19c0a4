"""map: results in the order of the inputs, whatever finishes first."""
from futured import ProcessPoolExecutor


def primes_below(n):
    return sum(all(i % d for d in range(2, int(i ** 0.5) + 1)) for i in range(2, n))


if __name__ == "__main__":
    with ProcessPoolExecutor() as pool:
        for n, count in zip([2000, 10, 500], pool.map(primes_below, [2000, 10, 500])):
            print(n, count)
        print(sum(pool.map(primes_below, range(2, 102), chunksize=10)))
