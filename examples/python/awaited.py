"""asyncio: the futures are concurrent.futures futures, so wrap_future and run_in_executor take them."""
import asyncio

from futured import ProcessPoolExecutor


def double(n):
    return 2 * n


async def main(pool):
    loop = asyncio.get_running_loop()
    print(await asyncio.gather(*[asyncio.wrap_future(pool.submit(double, n)) for n in range(5)]))
    print(await loop.run_in_executor(pool, double, 21))


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        asyncio.run(main(pool))
