"""Any prefix of a frame, then silence: the daemon sleeps."""
import random
import time

import rpc
from rpc import request

SEED = 20231

REQUESTS = [
    request(7, "submit", "shell", "echo", ["hello", b"\0" * 40], {"name": "n", "priority": 3}),
    request(7, "ping", [[[1, 2, {"a": [None, 1.5]}]]]),
    request(7, "ping", b"x" * 70000),
    request(7, "map", "shell", "true", [[]] * 2000),
    rpc.notification("hello", {"a": 1}),
]


def idle_share(daemon, seconds):
    """The daemon's share of a CPU while nobody says anything."""
    cpu, begun = daemon.cpu(), time.monotonic()
    time.sleep(seconds)  # silence is what is tested
    return (daemon.cpu() - cpu) / (time.monotonic() - begun)


def test_an_idle_daemon_sleeps(daemon, client):
    client.call("call", "shell", "true")
    assert idle_share(daemon, 0.5) < 0.02


def test_a_sample_of_prefixes_then_silence(daemon, client):
    """A hundred connections, each with another prefix, sampled with a fixed seed; all silent at the same time."""
    chooser = random.Random(SEED)
    crowd = []
    for data in REQUESTS:
        cuts = {1, 2, 3, 5, len(data) - 1} | {chooser.randrange(1, len(data)) for _ in range(15)}
        for cut in cuts:
            sock = rpc.open_socket(daemon.address)
            sock.sendall(data[:cut])
            crowd.append(sock)
    client.call("ping")
    assert idle_share(daemon, 1.0) < 0.02, "seed %d" % SEED
    assert client.call("ping", 1) == 1
    for sock in crowd:
        sock.close()


def test_a_client_that_does_not_read_its_answers_costs_no_time(daemon, client):
    lazy = rpc.open_socket(daemon.address)
    lazy.setblocking(False)
    data = request(1, "ping", b"x" * 100000)
    for _ in range(200):
        try:
            lazy.send(data)
        except BlockingIOError:
            break
    client.call("ping")
    assert idle_share(daemon, 0.5) < 0.02
    lazy.close()


def test_a_task_that_runs_and_one_that_waits_cost_no_time(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    client.call("submit", "one", "true")
    client.call("submit", "shell", "true", [], {"delay": 1000})
    client.request("wait", [1])
    assert idle_share(daemon, 0.5) < 0.02
    gate.open()


def test_a_paused_and_a_full_pool_cost_no_time(launch):
    daemon = launch({"pools": {"tiny": {"kind": "command", "workers": 1, "queue": 1}}})
    client = daemon.client()
    client.call("pause", "tiny")
    client.call("submit", "tiny", "true")
    client.request("submit", "tiny", "true", [], {"block": True})
    client.call("ping")
    assert idle_share(daemon, 0.5) < 0.02


def test_a_task_that_does_not_read_its_input_costs_no_time(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(), {"stdin": True})
    gate.await_start()
    for _ in range(16):
        client.request("input", future, b"x" * (1 << 20))
    client.call("ping")
    assert idle_share(daemon, 0.5) < 0.02
    gate.open()
