"""The log: lines as text and as JSON, what they are about, and that nothing in them can harm a terminal."""
import json
import os
import re
import signal

import conftest
from helpers import eventually


def entries(daemon, subsystem=None):
    lines = [json.loads(line) for line in daemon.log().splitlines()]
    return [line for line in lines if subsystem in (None, line["subsystem"])]


def test_a_line_of_text_has_a_time_a_level_and_a_subsystem(daemon):
    for line in daemon.log().splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) [a-z]+: .+", line), line


def test_json_is_an_object_per_line_with_the_ids_as_members(launch):
    daemon = launch({"log": {"format": "json", "level": "debug", "tasks": "all"}})
    client = daemon.client()
    good, bad = client.call("submit", "shell", "true"), client.call("submit", "one", "sh", ["-c", "exit 3"])
    client.call("wait", [good, bad])
    said = {line["future"]: line for line in entries(daemon, "future")}
    assert said[good]["level"] == "info" and said[good]["pool"] == "shell" and said[good]["state"] == "FINISHED"
    assert said[good]["exit_code"] == 0 and said[good]["duration_usec"] >= 0
    assert said[bad]["level"] == "warn" and said[bad]["pool"] == "one" and said[bad]["exit_code"] == 3
    assert "client_uid" in said[bad]
    assert entries(daemon, "conn")[0]["conn"] >= 1
    assert any("worker" in line for line in entries(daemon, "host"))


def test_a_log_that_nobody_reads_costs_lines_and_stops_nothing(launch):
    """The daemon waited for the reader of its log, and everybody for the daemon."""
    daemon = launch({"log": {"level": "debug"}}, start=False)
    ordinary, daemon.log_path = daemon.log_path, daemon.path("fifo")
    os.mkfifo(daemon.log_path)
    reader = os.open(daemon.log_path, os.O_RDONLY | os.O_NONBLOCK)
    daemon.start()
    daemon.log_path = ordinary
    for _ in range(1000):
        with daemon.client() as client:
            client.call("ping")
    text = drain(reader)
    assert 1 << 15 < len(text) <= 1 << 16
    daemon.client().call("ping")
    missing, *others = drain(reader).decode().lstrip("\n").splitlines()
    assert re.search(r" warn  log: lines are missing here, \d+ of them", missing), missing
    assert any("accepted" in line for line in others) and all(line[10] == "T" for line in others)
    os.close(reader)


def drain(reader):
    """What a pipe holds."""
    text = b""
    while True:
        try:
            text += os.read(reader, 1 << 16)
        except BlockingIOError:
            return text


def test_only_failed_tasks_where_that_is_asked_for(launch):
    daemon = launch({"log": {"format": "json", "tasks": "failed"}})
    client = daemon.client()
    futures = [client.call("submit", "shell", name) for name in ("true", "false")]
    client.call("wait", futures)
    assert [line["future"] for line in entries(daemon, "future")] == [futures[1]]


def test_nothing_of_tasks_by_default(daemon, client):
    client.call("wait", [client.call("submit", "shell", "false")])
    assert "ExitError" not in daemon.log()


def test_a_reload_changes_the_form(daemon, client):
    rewrite(daemon, log={"format": "json"})
    client.call("reload")
    eventually(lambda: daemon.log().splitlines()[-1].startswith("{"))


def rewrite(daemon, **changes):
    daemon.config.update(changes)
    with open(daemon.config_path, "w") as f:
        for key, value in daemon.config.items():
            f.write("%s: %s\n" % (key, conftest.yaml(value)))


def test_what_a_reload_by_signal_could_not_apply_is_in_the_log(launch):
    daemon = launch({"log": {"format": "json"}})
    rewrite(daemon, state_dir=daemon.path("other"))
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: [line["message"] for line in entries(daemon, "reload")] == ["state_dir: needs a restart"])
    rewrite(daemon, retain="never", nosuch=1)
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(entries(daemon, "reload")) == 3)
    assert ["retain: expected" in line["message"] or "nosuch: expected" in line["message"] for line in entries(daemon, "reload")] == [False, True, True]


EVIL = "\x1b[2J\x07\x00\n\r\t\x7f\x9b31m\u202e\"\\"


def test_what_a_client_says_cannot_harm_a_terminal(launch):
    for form in ("text", "json"):
        daemon = launch({"log": {"format": form, "level": "debug"}})
        daemon.client().call("hello", {"protocol": 1, "client": "evil " + EVIL.replace("\x00", "") + "é end"})
        raw = daemon.log()
        assert "é end" in raw and "evil" in raw
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", raw)
        assert len([line for line in raw.splitlines() if "evil" in line]) == 1
        if form == "json":
            assert [line["message"] for line in entries(daemon, "conn") if "evil \x1b[2J" in line["message"]]
