"""stats []: counters and gauges."""
from helpers import eventually, refused


def states(client):
    futures = client.call("stats")["futures"]
    return {name: futures.get(name, 0) for name in ("PENDING", "RUNNING", "CANCELLED", "FINISHED")}


def test_stats_is_a_map_with_str_keys(shared):
    stats = shared.call("stats")
    assert isinstance(stats, dict) and all(isinstance(k, str) for k in stats)


def test_stats_has_what_the_contract_names(shared):
    stats = shared.call("stats")
    assert stats["uptime"] >= 0 and isinstance(stats["version"], str)
    assert stats["connections"] >= 1
    assert stats["store"]["kind"] in ("memory", "sqlite") and stats["bytes"] >= 0
    assert stats["turn_futures_max"] >= 0 and stats["turn_bytes_max"] >= 0


def test_futures_are_counted_by_state(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    first, _ = client.call("map", "one", "true", [[]] * 5)
    client.call("cancel", [[first, 2]])
    done = client.call("submit", "shell", "true")
    client.call("wait", [done])
    assert states(client) == {"PENDING": 3, "RUNNING": 1, "CANCELLED": 2, "FINISHED": 1}
    client.call("release", [done, [first, 2]])
    assert states(client) == {"PENDING": 3, "RUNNING": 1, "CANCELLED": 0, "FINISHED": 0}
    gate.open()


def test_connections_are_counted(daemon, client):
    before = client.call("stats")["connections"]
    others = [daemon.client() for _ in range(3)]
    for c in others:
        c.call("ping")
    assert client.call("stats")["connections"] == before + 3
    for c in others:
        c.close()
    eventually(lambda: client.call("stats")["connections"] == before)


def test_the_bytes_held_come_back_with_release(daemon, client):
    before = client.call("stats")["bytes"]
    first, count = client.call("map", "shell", "head", [["-c", "200000", "/dev/zero"]] * 20)
    client.call("wait", [[first, count]])
    assert client.call("stats")["bytes"] >= before + 20 * 200000
    client.call("release", [[first, count]])
    eventually(lambda: client.call("stats")["bytes"] <= before + 4096)


def test_uptime_grows(shared):
    first = shared.call("stats")["uptime"]
    eventually(lambda: shared.call("stats")["uptime"] > first)


def test_stats_takes_no_parameter(shared):
    refused("ValueError", shared.call, "stats", 1)
