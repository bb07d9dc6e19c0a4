"""watch and unwatch: `done [id, state, error|nil, result|nil]`, once per future and connection, in order of completion."""
import pytest

from helpers import refused, sh
from kinds import LUA

DONE = "done"


def test_watch_lists_what_is_already_done(shared):
    first, _ = shared.call("map", "shell", "true", [[], []])
    shared.call("wait", [[first, 2]])
    assert shared.call("watch", [first + 1, first]) == {"done": [first + 1, first]}
    assert shared.pending_notifications() == []


def test_watch_tells_later_of_the_others(daemon, client, gate):
    done = client.call("submit", "shell", "true")
    client.call("result", done)
    future = client.call("submit", "shell", *gate.task())
    assert client.call("watch", [future, done]) == {"done": [done]}
    gate.open()
    assert client.notification(DONE) == [future, "FINISHED", None, None]
    assert client.pending_notifications() == []


def test_results_come_only_where_asked_for(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo v"))
    client.call("watch", [future], {"result": True})
    gate.open()
    assert client.notification(DONE) == [future, "FINISHED", None, {"exit": 0, "stdout": b"v\n", "stderr": b""}]


def test_errors_come_only_where_asked_for(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("exit 6"))
    other = daemon.client()
    client.call("watch", [future], {"result": True})
    other.call("watch", [future], {"result": False})
    gate.open()
    told = client.notification(DONE)
    assert told[:2] == [future, "FINISHED"] and told[3] is None
    assert (told[2]["type"], told[2]["exit"], told[2]["future"]) == ("ExitError", 6, future)
    assert other.notification(DONE) == [future, "FINISHED", None, None]


def test_a_watch_with_results_counts_as_looking_at_the_error(daemon, client, gate):
    looked = client.call("submit", "shell", *gate.task("exit 1"))
    unseen = client.call("submit", "shell", *gate.task("exit 1"))
    client.call("watch", [looked], {"result": True})
    client.call("watch", [unseen])
    gate.open(2)
    client.notification(DONE), client.notification(DONE)
    assert [m["id"] for m in client.call("failures")] == [unseen]


def test_a_cancel_is_told(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    future = client.call("submit", "one", "true")
    client.call("watch", [future])
    client.call("cancel", [future])
    assert client.notification(DONE) == [future, "CANCELLED", None, None]
    gate.open()


def test_a_response_precedes_the_notifications_it_causes(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    first, count = client.call("map", "one", "true", [[]] * 10)
    client.call("watch", [[first, count]])
    client.trace = []
    client.call("cancel", [[first, count]])
    for _ in range(count):
        client.notification(DONE)
    assert [frame[0] for frame in client.trace] == [1] + [2] * count
    gate.open()


def test_the_response_of_a_long_watch_precedes_the_progress_of_what_it_watches(launch, tmp_path):
    """What was watched by the first of its turns told of its progress before the answer."""
    (tmp_path / "chatter.lua").write_text("function chatter() while not futured.stopped() do futured.progress(1) end futured.give_up() end")
    daemon = launch({"pools": {"lua": {**LUA, "script": tmp_path / "chatter.lua", "workers": 1}}})
    client, watcher = daemon.client(), daemon.client()
    client.call("pause", "one")
    future = client.call("submit", "lua", "chatter")
    run = client.call("map", "one", "true", [[]] * 100000)
    client.call("watch", [future])
    client.notification("progress")
    watcher.trace = []
    assert watcher.call("watch", [future, run]) == {"done": []}
    assert watcher.trace[0][0] == 1, watcher.trace[0]
    assert watcher.notification("progress") == [future, 1, None, ""]
    client.call("cancel", [future], {"running": "ask"})
    assert watcher.notification("done")[1] == "CANCELLED"
    watcher.call("ping")
    frames = [frame for frame in watcher.trace if frame[0] == 2]
    assert frames[-1][1] == "done" and len(frames) > 1, "progress comes before the end"


def test_done_comes_in_order_of_completion(daemon, client):
    gates = [daemon.gate("g%d" % n) for n in range(2)]
    ids = [client.call("submit", "shell", *g.task()) for g in gates]
    client.call("watch", ids)
    for g in gates:
        g.await_start()
    gates[1].open()
    assert client.notification(DONE)[0] == ids[1]
    gates[0].open()
    assert client.notification(DONE)[0] == ids[0]


def test_one_worker_completes_in_order(daemon, client):
    client.call("pause", "one")
    first, count = client.call("map", "one", "true", [[]] * 20)
    client.call("watch", [[first, count]])
    client.call("resume", "one")
    assert [client.notification(DONE)[0] for _ in range(count)] == list(range(first, first + count))


def test_watching_twice_tells_once(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    for _ in range(3):
        client.call("watch", [future, future])
    gate.open()
    client.notification(DONE)
    client.call("result", future)
    assert client.pending_notifications(DONE) == []


def test_watches_merge_and_results_win(daemon, client, gate):
    ids = [client.call("submit", "shell", *gate.task("echo r")) for _ in range(2)]
    client.call("watch", [ids[0]])
    client.call("watch", [ids[0]], {"result": True})
    client.call("watch", [ids[1]], {"result": True})
    client.call("watch", [ids[1]])
    gate.open(2)
    told = {n[0]: n for n in (client.notification(DONE), client.notification(DONE))}
    assert told[ids[0]][3]["stdout"] == b"r\n"
    assert told[ids[1]][3]["stdout"] == b"r\n"


def test_unwatch_ends_a_watch(daemon, client, gate):
    ids = [client.call("submit", "shell", *gate.task()) for _ in range(2)]
    client.call("watch", ids)
    assert client.call("unwatch", [ids[0]]) is None
    gate.open(2)
    assert client.notification(DONE)[0] == ids[1]
    client.call("wait", ids)
    assert client.pending_notifications(DONE) == []


def test_unwatch_of_what_is_not_watched_is_nothing(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    assert shared.call("unwatch", [future]) is None


def test_unwatch_leaves_other_connections_alone(daemon, client, gate):
    other = daemon.client()
    future = client.call("submit", "shell", *gate.task())
    client.call("watch", [future])
    other.call("watch", [future])
    client.call("unwatch", [future])
    gate.open()
    assert other.notification(DONE)[0] == future
    assert client.pending_notifications(DONE) == []


def test_completion_reaches_every_watcher(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    watchers = [daemon.client() for _ in range(8)]
    for w in watchers:
        w.call("watch", [future])
    gate.open()
    assert [w.notification(DONE)[:2] for w in watchers] == [[future, "FINISHED"]] * 8


def test_watches_end_with_the_connection(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    with daemon.client() as other:
        other.call("watch", [future])
    gate.open()
    client.call("result", future)
    fresh = daemon.client()
    assert fresh.pending_notifications() == []


def test_a_released_future_is_still_told_to_its_watcher(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo v"))
    client.call("watch", [future], {"result": True})
    client.call("release", [future])
    gate.open()
    assert client.notification(DONE)[3]["stdout"] == b"v\n"


def test_a_watch_after_a_watch_was_told_says_done(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    client.call("watch", [future])
    gate.open()
    client.notification(DONE)
    assert client.call("watch", [future]) == {"done": [future]}
    assert client.pending_notifications(DONE) == []


def test_done_lists_duplicates_once(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    assert shared.call("watch", [future, [future, 1]]) == {"done": [future]}


# The option `watch` of submit, map and call.

def test_the_watch_option_tells_with_results(shared):
    future = shared.call("submit", "shell", "echo", ["v"], {"watch": True})
    assert shared.notification(DONE) == [future, "FINISHED", None, {"exit": 0, "stdout": b"v\n", "stderr": b""}]


def test_the_watch_option_of_a_map_tells_of_each(shared):
    first, count = shared.call("map", "shell", "true", [[]] * 10, {"watch": True})
    assert sorted(shared.notification(DONE)[0] for _ in range(count)) == list(range(first, first + count))


def test_the_watch_option_tells_after_the_answer(shared):
    shared.trace = []
    shared.call("submit", "shell", "true", [], {"watch": True})
    shared.notification(DONE)
    assert [frame[0] for frame in shared.trace] == [1, 2]


def test_the_watch_option_false_tells_nothing(shared):
    future = shared.call("submit", "shell", "true", [], {"watch": False})
    shared.call("wait", [future])
    assert shared.pending_notifications(DONE) == []


def test_the_watch_option_on_a_key_that_is_already_done_is_told_right_after_the_answer(shared):
    future = shared.call("submit", "shell", "echo", ["k"], {"key": "watched"})
    shared.call("wait", [future])
    shared.trace = []
    assert shared.call("submit", "shell", "echo", ["k"], {"key": "watched", "watch": True}) == future
    told = shared.notification(DONE)
    assert told[:2] == [future, "FINISHED"] and told[3]["stdout"] == b"k\n"
    assert [frame[0] for frame in shared.trace] == [1, 2]


def test_the_watch_option_of_a_failed_task_tells_its_error(shared):
    shared.call("submit", "shell", *sh("exit 2"), {"watch": True})
    told = shared.notification(DONE)
    assert told[1] == "FINISHED" and told[2]["exit"] == 2 and told[3] is None


@pytest.mark.parametrize("options", [7, "x", [], {"result": 1}, {"result": "yes"}, {"results": True}, {1: 2}], ids=repr)
def test_wrong_options_are_a_value_error(shared, options):
    refused("ValueError", shared.call, "watch", [], options)


def test_too_many_parameters_are_a_value_error(shared):
    refused("ValueError", shared.call, "watch", [], {}, 1)
