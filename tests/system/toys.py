"""Functions for the example runtime, in tests."""
import os
import time


def echo(value):
    return value


def add(a, b=0):
    return a + b


def fail():
    raise KeyError("toy")


def print_all():
    print("printed")


def leave(status):
    os._exit(status)


def go_deaf(path):
    """Closes all but 0 to 2 when it is told, and goes on."""
    until_file(path)
    os.closerange(3, 256)
    time.sleep(1000)


def until_file(path):
    while not os.path.exists(path):
        time.sleep(0.01)
