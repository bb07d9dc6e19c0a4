"""Threads that wait feed processes that compute: each page is parsed as soon as it is there."""
import time

from futured import ProcessPoolExecutor, ThreadPoolExecutor, as_completed


def download(page):
    time.sleep(0.02)
    return ",".join(str(page * i) for i in range(100))


def total(text):
    return sum(map(int, text.split(",")))


if __name__ == "__main__":
    with ThreadPoolExecutor(8) as loaders, ProcessPoolExecutor(2) as parsers:
        pages = [loaders.submit(download, page) for page in range(10)]
        totals = [parsers.submit(total, page.result()) for page in as_completed(pages)]
        print(sum(future.result() for future in totals))
