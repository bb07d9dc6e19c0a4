"""A daemon that works for long takes no more memory and no more descriptors than one that has just warmed up."""
import os
import time

import pytest

from kinds import PROCESS

BATCH = 10000
CONFIG = {"pools": {"cpu": {**PROCESS, "workers": 2}, "shell": {"kind": "command", "workers": 2}}}


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def work(client, keep=None):
    """So many tasks, of all that a daemon does with them."""
    first, count = client.call("map", "cpu", "add", [[n, n] for n in range(BATCH - 40)], {"watch": True, "priority": 1}, timeout=60)
    client.call("wait", [[first, count]], timeout=60)
    for _ in range(count):
        client.notification("done")
    commands = [client.call("submit", "shell", "true", [], {"retries": 1, "key": "k%d" % n, "tags": ["t"]}) for n in range(30)]
    commands += [client.call("submit", "shell", "false", [], {"after": commands[:3]}) for _ in range(10)]
    client.call("wait", commands, timeout=60)
    client.call("cancel", commands)
    if not keep:
        client.call("release", [[first, count]] + commands)


def slope(launch, store, rounds, keep=None, **more):
    """Bytes of RSS per 10,000 tasks, between the middle and the end; and descriptors, before and after."""
    daemon = launch({"store": store, **more})
    sizes = []
    for n in range(rounds):
        with daemon.client(patience=60) as client:
            work(client, keep)
        sizes.append(daemon.rss())
        if n == rounds // 2:
            with daemon.client() as client:
                client.call("ping")
            time.sleep(0.1)  # its connection is gone
            before = descriptors(daemon.pid)
    with daemon.client() as client:
        client.call("ping")
    time.sleep(0.1)
    half = rounds // 2
    early, late = sorted(sizes[half - 4:half + 1])[2], sorted(sizes[-5:])[2]     # medians: trimming comes in steps
    return (late - early) / (rounds - half), before, descriptors(daemon.pid), sizes


@pytest.mark.long
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_memory_and_descriptors_stay(launch, store):
    """Half a million tasks; the slope over an hour of it is under 1 KiB per 10,000, here there is the noise of a page or two for each."""
    growth, before, after, sizes = slope(launch, store, 50)
    print(store, "RSS", sizes[0], sizes[24], sizes[-1], "slope", growth, "descriptors", before, after)
    assert growth < 16 * 1024, sizes
    assert after == before


@pytest.mark.long
def test_what_is_kept_is_seen(launch):
    """The control: futures that nobody releases."""
    growth, _, _, sizes = slope(launch, "memory", 10, keep=True)
    assert growth > 100 * 1024, sizes
