"""An initializer: each worker loads once what its tasks use."""
from futured import ProcessPoolExecutor

words = None


def load(text):
    global words
    words = text.split()


def word(i):
    return words[i]


if __name__ == "__main__":
    with ProcessPoolExecutor(2, initializer=load, initargs=("the quick brown fox",)) as pool:
        print(*pool.map(word, range(4)))
