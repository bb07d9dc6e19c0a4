"""Interpreters: each is a process of its own, and keeps its state."""
from futured import InterpreterPoolExecutor, interpreters


def square_sum(n):
    return sum(i * i for i in range(n))


if __name__ == "__main__":
    with InterpreterPoolExecutor(max_workers=2) as pool:
        print(list(pool.map(square_sum, [10, 100])))
    one, other = interpreters.create(), interpreters.create()
    one.exec("kept = 40")
    one.exec("kept += 2; print('kept is', kept)")
    try:
        other.exec("kept")
    except interpreters.ExecutionFailed as e:
        print(e)
    print(one.call(square_sum, 4))
    one.close(), other.close()
