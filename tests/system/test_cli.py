"""fut through pipes: exit codes, streams, stdin, JSON, and each verb."""
import json
import os
import re
import select
import signal
import socket
import subprocess
import time

import pytest

import rpc
from cli_helper import FUT, Fut, await_full
from helpers import ROOT, Hang, eventually, rss

MIB = 1 << 20


# Exit codes

@pytest.mark.parametrize("args, status", [
    (["run", "true"], 0),
    (["run", "false"], 1),
    (["run", "sh", "-c", "exit 7"], 7),
    (["run", "--", "sh", "-c", "exit 255"], 255),
    (["run", "--shell", "exit 9"], 9),
    (["run", "sh", "-c", "kill -9 $$"], 137),
    (["run", "sh", "-c", "kill -TERM $$"], 143),
    (["run", "--timeout", "0.2", "sleep", "10"], 124),
    (["run", "--deadline", "200ms", "sleep", "10"], 124),
    (["run", "no-such-program"], 127),
    (["run", "/etc/passwd"], 126),
    (["run", "-p", "nosuch", "true"], 125),
    (["run", "--timeout", "soon", "true"], 125),
    (["run", "--nosuch", "true"], 125),
    (["run"], 125),
    (["wait", "4000000000"], 125),
    (["result", "4000000000"], 125),
    (["wait", "none"], 125),
    (["submit"], 2),
    (["submit", "--limit", "x=1", "true"], 2),
    (["run", "--timeout", "0", "sleep", "0.2"], 0),
    (["run", "--deadline", "0", "sleep", "0.2"], 0),
    (["call", "--timeout", "0", "shell", "true"], 0),
    (["submit", "--retain", "1w", "true"], 0),
    (["wait", "--any", "--all", "1"], 125),
    (["submit", "-p", "nosuch", "true"], 1),
    (["cancel", "none"], 2),
    (["map", "true", ":::", "a", "b"], 0),
    (["map", "false", ":::", "a", "b"], 1),
    (["map", "true", ":::"], 0),
    (["map", ":::", "a"], 2),
    (["ls", "--state", "nosuch"], 2),
    (["show", "4000000000"], 1),
    (["pool", "pause", "nosuch"], 1),
    (["pool", "nosuch"], 2),
    (["completion", "bash"], 0),
    (["completion", "tcsh"], 2),
    (["completion"], 2),
    (["top"], 2),
    (["daemon", "config"], 0),
    (["daemon", "reload", "x"], 2),
    (["ls", "--ids"], 0),
    (["ls", "x"], 2),
    (["map", "--dry-run", "x", ":::", "a"], 0),
    (["map", "--halt", "x", "true", ":::", "a"], 2),
    (["map", "--halt", "now,fail=1", "false", ":::", "a", "b"], 1),
    (["map", "--halt", "now,success=1", "true", ":::", "a", "b"], 0),
    (["map", "-p", "nosuch", "true", ":::", "a"], 1),
    (["show"], 2),
    (["why", "x"], 2),
    (["why", "4000000000"], 1),
    (["logs"], 2),
    (["logs", "4000000000"], 1),
    (["cancel", "4000000000"], 1),
    (["release", "x"], 2),
    (["retry", "4000000000"], 1),
    (["events", "x"], 2),
    (["failures", "x"], 2),
    (["call", "shell"], 2),
    (["call", "nosuch", "x"], 1),
    (["pool", "resize", "shell", "0"], 2),
    (["nosuch"], 2),
    ([], 2),
    (["help"], 0),
    (["help", "run"], 0),
    (["run", "-h"], 0),
    (["--help"], 0),
    (["-V"], 0),
], ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_exit_codes(sf, args, status):
    done = sf.run(*args)
    assert done.returncode == status, done


def test_bench_starts_no_daemon(tmp_path):
    done = Fut(str(tmp_path), FUTURED_NO_START=None).run("bench", "--seconds", "10ms")
    assert done.returncode == 69 and b"no daemon answers" in done.stderr and not os.path.exists(str(tmp_path / "futured"))


@pytest.mark.parametrize("args, status", [(["run", "true"], 125), (["wait", "1"], 125), (["result", "1"], 125), (["ls"], 69),
                                          (["submit", "true"], 69), (["map", "true", ":::", "a"], 69), (["daemon", "ping"], 69),
                                          (["logs", "1"], 69)], ids=lambda v: v[0] if isinstance(v, list) else None)
def test_no_daemon(tmp_path, args, status):
    done = Fut(str(tmp_path), str(tmp_path / "none.sock")).run(*args)
    assert done.returncode == status
    assert b"no daemon answers" in done.stderr and str(tmp_path).encode() in done.stderr


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_wait_and_result_exit_as_the_task_did(sf, script, status):
    future = sf.submit("sh", "-c", script)
    assert sf.run("wait", future).returncode == status
    assert sf.run("result", future).returncode == status


def test_wait_for_several_says_whether_all_went_well(sf):
    good, bad = sf.submit("true"), sf.submit("false")
    assert sf.run("wait", good, good).returncode == 0
    done = sf.run("wait", good, bad)
    assert done.returncode == 1 and b"exit 1" in done.stderr


def test_wait_gives_up_after_its_timeout(fut, daemon, gate):
    future = fut.submit(*flat(gate.task("exit 3")))
    assert fut.run("wait", "--timeout", "0.1", future).returncode == 124
    assert fut.run("wait", "--timeout", "0.1", future, fut.submit("true")).returncode == 124
    assert fut.run("result", "--timeout", "0.1", future).returncode == 124
    gate.open()
    assert fut.run("wait", future).returncode == 3


def test_wait_for_all_with_a_tag_or_of_a_pool(fut, daemon, gate):
    good, bad = fut.submit("-T", "x", "true"), fut.submit("-T", "y", "false")
    fut.run("wait", good, bad)
    assert fut.run("wait", "--tag", "x").returncode == 0 and fut.run("wait", "--tag", "y").returncode == 1  # done already
    held = fut.submit("-T", "x", *flat(gate.task("exit 3")))
    gate.await_start()
    assert fut.run("wait", "--tag", "x", "--timeout", "0.1").returncode == 124 == fut.run("wait", "-p", "shell", "--timeout", "0.1").returncode
    alone = fut.json("daemon", "stats")[0]["connections"]
    process = fut.start("wait", "--pool", "shell")
    eventually(lambda: fut.json("daemon", "stats")[0]["connections"] > alone)
    assert fut.run("wait", "--pool", "shell", "--timeout", "0.2").returncode == 124   # by then the other one waits, too
    gate.open()
    assert process.wait(40) == 3 and fut.run("wait", "--pool", "shell").returncode == 0
    assert fut.run("wait", "--tag", "x").returncode == 1
    done = fut.run("wait", "--tag", "nosuch")
    assert done.returncode == 125 and b"nothing has the tag 'nosuch'" in done.stderr
    assert b"there is no pool 'shel'" in fut.run("wait", "--pool", "shel").stderr
    assert fut.run("wait", "--tag", "x", held).returncode == 125


def test_wait_for_nothing_says_so(sf):
    done = sf.run("wait")
    assert done.returncode == 125 and b"there is no id to wait for" in done.stderr


def test_wait_any_returns_with_the_first(fut, daemon, gate):
    held = fut.submit(*flat(gate.task()))
    gate.await_start()
    assert fut.run("wait", "--any", held, fut.submit("true")).returncode == 0
    gate.open()


def test_wait_of_a_cancelled_one_is_125(fut, daemon):
    fut.ok("pool", "pause", "shell")
    future = fut.submit("true")
    fut.ok("cancel", future)
    assert fut.run("wait", future).returncode == 125


def flat(task):
    return [task[0], *task[1]]


# Mistakes

@pytest.mark.parametrize("typed, meant", [("rnu", "run"), ("sumbit", "submit"), ("lst", "ls"), ("kill", "cancel"), ("list", "ls"),
                                          ("resutl", "result"), ("fail", "failures"), ("kil", "cancel"), ("Run", "run"), ("clean", "release"),
                                          ("help staus", "ls"), ("daemon stat", "stats"), ("pool stop", "pause"), ("pool resum shell", "resume")])
def test_did_you_mean(sf, typed, meant):
    done = sf.run(*typed.split())
    assert done.returncode == 2 and b"did you mean '%s'" % meant.encode() in done.stderr and done.stdout == b""


@pytest.mark.parametrize("typed", ["daemon reload", "daemon config", "daemon drain", "daemon backup", "daemon token", "pool resize", "pool pause"])
def test_an_action_typed_as_a_verb_is_known(sf, typed):
    assert b"did you mean `fut %s`?" % typed.encode() in sf.run(typed.split()[1]).stderr


def test_help_of_nothing_says_so(sf):
    done = sf.run("help", "nope")
    assert done.returncode == 2 and b"there is no verb 'nope'; `fut help` lists them" in done.stderr


@pytest.mark.parametrize("typed, told", [
    (["submit", "--retry", "3", "true"], "there is no option '--retry'; did you mean '--retries'?"),
    (["run", "--lim"], "there is no option '--lim'; did you mean '--limit'?"),
    (["ls", "--stat=failed"], "there is no option '--stat'; did you mean '--state'?"),
    (["--jsn", "ls"], "there is no option '--jsn'; did you mean '--json'?"),
    (["submit", "--time", "3", "true"], "there is no option '--time'; did you mean '--timeout'?"),
    (["ls", "-qz"], "there is no option '-z'"), (["run", "--name"], "--name: expected a value"), (["run", "-n"], "-n: expected a value"),
    (["ls", "--json=3"], "'--json=3': it takes no value"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_an_option_is_written_out(sf, typed, told):
    done = sf.run(*typed)
    assert done.returncode == (125 if typed[0] == "run" else 2) and done.stdout == b""
    assert done.stderr.decode().startswith("fut: ") and told in done.stderr.decode()


def test_an_error_names_what_is_wrong(sf):
    assert b"nosuch" in sf.run("run", "-p", "nosuch", "true").stderr
    assert b"no-such-program" in sf.run("run", "no-such-program").stderr
    assert b"--priority" in sf.run("submit", "--priority", "x", "true").stderr


@pytest.mark.parametrize("verb", ["run", "submit", "call", "map", "wait", "result", "logs", "cancel", "release", "retry", "ls", "show",
                                  "why", "failures", "events", "pool", "bench", "daemon", "help"])
def test_help_begins_with_examples(sf, verb):
    text = sf.ok(verb, "-h").decode()
    assert all(len(line) <= 80 for line in text.split("\n")), [line for line in text.split("\n") if len(line) > 80]
    assert sf.ok("--help", verb).decode() == text
    assert text.startswith("  fut " + verb)
    assert "Options of every verb" in text and sf.ok("help", verb).decode() == text


@pytest.mark.parametrize("columns", [80, 60])
def test_help_fits_a_terminal(sf, columns):
    """What all verbs take was told with each, in more lines than what the verb is about."""
    for args in (["help"], ["help", "options"], ["logs", "-h"], ["cancel", "-h"], ["pool", "-h"], ["show", "-h"]):
        screen = sf.terminal(*args, columns=columns)
        assert screen.wait() == 0
        lines = screen.plain().decode().replace("\r", "").split("\n")
        assert all(len(line) <= columns for line in lines), lines
        assert args[0] == "help" or len(lines) <= (24 if columns == 80 else 34), lines
    assert all(name in sf.ok("help", "options").decode() for name in ("--json", "--tls-ca", "-a, --address", "--no-start"))


# Streams

def test_run_keeps_the_streams_apart(sf):
    done = sf.run("run", "sh", "-c", "echo out; echo err >&2; echo out2")
    assert (done.stdout, done.stderr) == (b"out\nout2\n", b"err\n")


def test_run_shows_a_line_while_the_task_runs(fut, daemon, gate):
    process = fut.start("run", *flat(gate.task("echo two; exit 5", before="echo one; echo note >&2")))
    assert process.stdout.readline() == b"one\n"
    assert process.stderr.readline() == b"note\n"
    assert process.poll() is None
    gate.open()
    assert process.communicate(timeout=40) == (b"two\n", b"") and process.returncode == 5


def test_binary_output_is_exact(sf):
    data = bytes(range(256)) * 40
    path = os.path.join(sf.directory, "binary")
    with open(path, "wb") as f:
        f.write(data)
    assert sf.ok("run", "cat", path) == data
    future = sf.submit("cat", path)
    assert sf.ok("result", future) == data and sf.ok("logs", future) == data
    sf.ok("result", future, "-o", path + ".copy")
    assert open(path + ".copy", "rb").read() == data


def test_output_beyond_a_mebibyte_is_whole(sf):
    script = "i=0; while [ $i -lt 400000 ]; do echo $i; i=$((i+1)); done"
    whole = b"".join(b"%d\n" % n for n in range(400000))
    assert sf.ok("run", "sh", "-c", script) == whole
    future = sf.submit("sh", "-c", script)
    assert sf.ok("result", future) == whole and sf.ok("logs", future) == whole
    assert sf.ok("logs", "-n", "2", future) == b"399998\n399999\n"
    assert sf.ok("map", "sh", "-c", script + "; : {}", ":::", "x") == whole


def test_a_slow_reader_gets_everything(sf):
    process = sf.start("run", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' z; echo end")
    await_full(process.stdout)
    out, err = process.communicate(timeout=20)
    assert out == b"z" * 3000000 + b"end\n" and process.returncode == 0


def test_a_reader_that_leaves_ends_the_task_quietly(fut, daemon, client):
    process = fut.start("run", "yes")
    assert process.stdout.read(2) == b"y\n"
    process.stdout.close()
    assert process.wait(40) == 128 + signal.SIGPIPE
    assert process.stderr.read() == b""
    assert client.call("list", {"state": "RUNNING"}) == []


def test_a_list_into_a_closed_pipe_is_quiet(sf):
    sf.submit("true")
    process = sf.start("ls")
    process.stdout.close()
    assert process.wait(40) in (0, 1, -signal.SIGPIPE) and process.stderr.read() == b""


# stdin

def test_ten_megabytes_of_stdin(sf):
    data = os.urandom(10 * 1000 * 1000)
    assert sf.ok("run", "cat", input=data) == data
    path = os.path.join(sf.directory, "input")
    with open(path, "wb") as f:
        f.write(data)
    with open(path, "rb") as f:
        assert sf.ok("run", "cat", stdin=f) == data
    assert sf.ok("run", "-i", path, "cat") == data


def test_stdin_is_fed_as_it_comes(sf):
    process = sf.start("run", "cat", stdin=subprocess.PIPE)
    for line in (b"one\n", b"two\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline() == line
    process.stdin.close()
    assert process.wait(40) == 0


def test_a_task_that_does_not_read_its_stdin(sf):
    assert sf.run("run", "sh", "-c", "exit 4", input=b"x" * 5 * MIB).returncode == 4
    assert sf.ok("run", "head", "-c", "3", input=b"abc" * 3 * MIB) == b"abc"


def test_without_a_pipe_stdin_is_dev_null(sf):
    assert sf.ok("run", "readlink", "/proc/self/fd/0") == b"/dev/null\n"
    assert sf.ok("run", "readlink", "/proc/self/fd/0", stdin=None, start_new_session=True,
                 preexec_fn=lambda: os.close(0)) == b"/dev/null\n"


def test_submit_reads_stdin_only_where_it_is_told(sf):
    assert sf.ok("result", sf.ok("submit", "cat", input=b"not this").decode().strip()) == b""
    assert sf.ok("result", sf.ok("submit", "-i", "-", "cat", input=b"but this").decode().strip()) == b"but this"


def test_stdin_survives_a_retry(sf):
    path = os.path.join(sf.directory, "tries")
    script = 'cat; echo x >> "$1"; [ $(wc -l < "$1") -ge 2 ]'
    assert sf.ok("run", "--retries", "2", "-i", "-", "sh", "-c", script, "sh", path, input=b"again\n").endswith(b"again\n")


def test_stdin_that_is_not_passed_on_is_told(sf):
    told = b"with --retries stdin is not passed on; -i - keeps it for all attempts"
    ours, theirs = os.pipe()
    os.write(theirs, b"data")   # before it looks
    done = sf.run("run", "--retries", "1", "wc", "-c", stdin=ours)
    os.close(ours), os.close(theirs)
    assert done.stdout == b"0\n" and done.stderr.count(told) == 1
    path = os.path.join(sf.directory, "some")
    with open(path, "w") as f:
        f.write("data")
    with open(path) as f:
        assert told in sf.run("run", "--retries", "1", "true", stdin=f).stderr
    for keys in ({}, {"input": b""}):
        assert sf.run("run", "--retries", "1", "true", **keys).stderr == b""
    assert sf.run("run", "--retries", "1", "-i", "-", "cat", input=b"data").stderr == b""


# The caller's surroundings

def test_tasks_see_the_callers_directory_environment_and_umask(sf, tmp_path):
    done = sf.run("run", "sh", "-c", "pwd; echo $MARK; umask", cwd=str(tmp_path), env={"MARK": "here"},
                  preexec_fn=lambda: os.umask(0o027))
    assert done.stdout.split() == [str(tmp_path).encode(), b"here", b"0027"]


HERE = ["sh", "-c", "pwd; echo $MARK; umask"]


@pytest.mark.config(socket_mode="0666", shared_uid=True)
def test_a_shared_daemon_of_the_same_user_is_sent_nothing(fut, daemon, tmp_path):
    done = fut.run("run", *HERE, cwd=str(tmp_path), env={"MARK": "here"}, preexec_fn=lambda: os.umask(0o027))
    assert done.returncode == 0 and str(tmp_path).encode() not in done.stdout and b"here" not in done.stdout and b"0027" not in done.stdout
    assert fut.ok("run", "-C", "/usr", "-e", "MARK=there", *HERE).startswith(b"/usr\nthere\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("named", [True, False])
def test_the_systems_daemon_is_sent_nothing_even_by_its_own_user(daemon, tmp_path, named):
    """A /run of our own, in which the test's daemon, whose socket is for its user alone, is the system's."""
    fut = Fut(str(tmp_path))
    script = "mount -t tmpfs none /run && mkdir /run/futured && mount --bind %s /run/futured && cd /usr && exec \"$@\"" % daemon.directory
    where = ["-a", "unix:/run/futured/futured.sock"] if named else []
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", FUT, *where, "run", *HERE], env={**fut.env, "MARK": "here"}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0 and not done.stdout.startswith(b"/usr\n") and b"here" not in done.stdout, done


def test_env_and_cwd_options_win(sf, tmp_path):
    (tmp_path / "sub").mkdir()
    script = "pwd; echo $MARK $OTHER"
    done = sf.run("run", "-C", "sub", "-e", "MARK=there", "-e", "OTHER=a=b", "sh", "-c", script, cwd=str(tmp_path), env={"MARK": "here"})
    assert done.stdout.decode().splitlines() == [str(tmp_path / "sub"), "there a=b"]


def test_env_clear_sends_nothing_of_ours(sf):
    script = "echo [$MARK] [$OTHER]"
    assert sf.ok("run", "--env-clear", "-e", "OTHER=1", "/bin/sh", "-c", script, env={"MARK": "x"}) == b"[] [1]\n"


def test_argv_stays_argv(sf):
    words = ["a b", "", "*", "$HOME", "--", "-n", "é", "'\""]
    assert sf.ok("run", "printf", "%s\\n", *words).decode().splitlines() == words
    assert sf.ok("run", "printf", "%s", b"\xff\xfe") == b"\xff\xfe"


def test_shell_is_a_shell_only_when_asked(sf):
    assert sf.ok("run", "echo", "a|b") == b"a|b\n"
    assert sf.ok("run", "--shell", "echo a | tr a b") == b"b\n"


# JSON

def test_json_of_every_list_is_one_object_per_line(sf):
    sf.run("run", "-n", "named", "sh", "-c", "exit 3")
    assert {"pool", "state", "fn"} <= set(sf.json("ls")[-1])
    assert {p["name"] for p in sf.json("pool", "ls")} >= {"shell", "one"}
    (shown,) = sf.json("show", sf.submit("true"))
    assert shown["pool"] == "shell"
    assert sf.json("daemon", "stats")[0]["version"]
    assert isinstance(sf.json("failures"), list)


def test_json_of_submit_run_result_and_wait(sf):
    (submitted,) = sf.json("submit", "sh", "-c", "echo é; exit 3")
    (result,) = sf.json("result", str(submitted["id"]))
    assert result["status"] == 3 and result["error"]["exit"] == 3 and result["error"]["stdout"] == "é\n"
    (waited,) = sf.json("wait", str(submitted["id"]))
    assert waited["id"] == submitted["id"] and waited["error"]["type"] == "ExitError"
    (ran,) = sf.json("run", "echo", "hi")
    assert ran["status"] == 0 and ran["value"] == {"exit": 0, "stdout": "hi\n", "stderr": ""}
    assert sf.run("--json", "run", "false").returncode == 1


def test_json_has_bytes_as_base64(sf):
    (ran,) = sf.json("run", "printf", "\\377")
    assert ran["value"]["stdout"] == {"base64": "/w=="}


def test_json_may_stand_behind_the_verb(sf):
    assert json.loads(sf.ok("submit", "--json", "true"))["id"] > 0


def test_json_of_map_is_a_line_per_item(sf):
    lines = sf.json("map", "sh", "-c", "echo {}; exit {}", ":::", "0", "3")
    assert [(line["number"], line["item"], line["status"]) for line in lines] == [(1, "0", 0), (2, "3", 3)]
    assert lines[0]["value"]["stdout"] == "0\n" and lines[1]["error"]["exit"] == 3


def test_json_of_cancel_and_retry(fut, daemon):
    fut.ok("pool", "pause", "shell")
    future = fut.submit("true")
    assert fut.json("cancel", future) == [{"id": int(future), "cancelled": True}]
    (again,) = fut.json("retry", future)
    assert again["retry_of"] == int(future) and again["id"] > int(future)


# map

def test_map_prints_in_the_order_of_the_items(sf):
    done = sf.ok("map", "sh", "-c", "sleep 0.{}; echo {}", ":::", "3", "1", "2", "0")
    assert done == b"3\n1\n2\n0\n"


def test_map_as_completed_prints_what_is_done(fut, daemon, gate):
    script = '[ $1 = slow ] && { echo $$ >"$2"; read x <"$3"; }; echo $1'
    process = fut.start("map", "--as-completed", "sh", "-c", script, "sh", "{}", gate.started, gate.go, ":::", "slow", "quick")
    assert process.stdout.readline() == b"quick\n"
    gate.open()
    assert process.communicate(timeout=40)[0] == b"slow\n"


def test_map_reads_items_from_stdin_as_they_come(sf):
    process = sf.start("map", "echo", stdin=subprocess.PIPE)
    for word in (b"a\n", b"b c\n"):
        process.stdin.write(word)
        process.stdin.flush()
        assert process.stdout.readline() == word
    process.stdin.close()
    assert process.wait(40) == 0


@pytest.mark.parametrize("text, args, lines", [(b"", [], []), (b"\n\n", [], []), (b"a", [], [b"a"]), (b"a\n\nb", [], [b"a", b"b"]),
                                               (b"a b\0c\nd\0", ["-0"], [b"a b", b"c", b"d"])], ids=repr)
def test_map_items_of_stdin(sf, text, args, lines):
    assert sf.ok("map", *args, "echo", input=text).splitlines() == lines


@pytest.mark.parametrize("word, becomes", [("{}", "a/b c.tar.gz"), ("{.}", "a/b c.tar"), ("{/}", "b c.tar.gz"), ("{//}", "a"),
                                           ("{/.}", "b c.tar"), ("{#}", "1"), ("x{}y{#}", "xa/b c.tar.gzy1"), ("{x}", "{x} a/b c.tar.gz")])
def test_map_places(sf, word, becomes):
    assert sf.ok("map", "echo", word, ":::", "a/b c.tar.gz").decode() == becomes + "\n"


def test_map_quotes_for_the_shell(sf):
    item = "a'b; echo $HOME \"c\""
    assert sf.ok("map", "--shell", "printf %s {} | cat", ":::", item).decode() == item


def test_map_may_have_the_program_as_its_place(sf):
    assert sf.ok("map", "{}", ":::", "pwd", "true").decode().strip() == sf.directory


def test_map_runs_no_more_than_asked_at_once(fut, daemon):
    fut.ok("pool", "resize", "shell", "8")
    script = 'mkdir run$1 && ls -d run* | wc -l; sleep 0.02; rmdir run$1'
    for jobs in (1, 3):
        seen = [int(n) for n in fut.ok("map", "-j", str(jobs), "sh", "-c", script, "sh", ":::", *map(str, range(24))).split()]
        assert max(seen) <= jobs and len(seen) == 24


def test_map_tells_which_failed(sf):
    done = sf.run("map", "sh", "-c", "exit {}", ":::", "0", "4", "0", "5")
    assert done.returncode == 1
    assert b"2 of 4 failed" in done.stderr and b"4: exit 4" in done.stderr and b"5: exit 5" in done.stderr
    assert sf.run("-q", "map", "false", ":::", "x").stderr == b""
    assert sf.run("-q", "map", "nosuch", ":::", "x").stderr == b"fut: x: nosuch: not found in PATH\n"


def test_map_names_what_lists_the_rest(sf):
    done = sf.run("map", "-T", "a b", "false", ":::", *map(str, range(14)))
    assert b"and 4 more; `fut ls -T 'a b' -s failed` lists them" in done.stderr
    assert len(sf.ok("ls", "-T", "a b", "-s", "failed", "--ids").split()) == 14


@pytest.mark.parametrize("args", [["run", "make && make install"], ["map", "echo {} | wc -c", ":::", "a"], ["run", "/bin/echo hi"], ["map", "ls -l", ":::", "/"]], ids=" ".join)
def test_a_command_line_in_one_word_gets_a_hint(sf, args):
    done = sf.run(*args)
    assert done.returncode in (1, 127) and b"did you mean --shell?" in done.stderr
    assert b"did you mean" not in sf.run(args[0], "nosuch", *args[2:]).stderr


def test_a_command_that_is_not_found_is_told_without_the_whole_path(sf):
    done = sf.run("map", "nosuch", ":::", "1", "2", env={"PATH": "/usr/bin:/none/of/that"})
    assert done.stderr.count(b"nosuch: not found in PATH\n") == 2 and b"/none" not in done.stderr
    assert sf.run("run", "nosuch").stderr == b"fut: nosuch: not found in PATH\n"


def test_map_releases_what_went_well_and_keeps_what_failed(fut, daemon, client):
    fut.run("map", "sh", "-c", "exit {}", ":::", "0", "1", "0")
    assert [client.call("exception", m["id"])["exit"] for m in client.call("list")] == [1]
    fut.run("map", "--keep", "true", ":::", "a", "b")
    assert len(client.call("list")) == 3


def test_map_goes_on_when_nobody_reads_for_a_while(sf):
    process = sf.start("map", "sh", "-c", "head -c 300000 /dev/zero; : {}", stdin=subprocess.PIPE)
    process.stdin.write(b"".join(b"%d\n" % n for n in range(20)))
    process.stdin.close()
    await_full(process.stdout)
    assert process.stdout.read() == b"\0" * 6000000 and process.wait(40) == 0


def test_map_ends_quietly_when_its_reader_leaves(fut, daemon, client):
    process = fut.start("map", "yes", ":::", *["x"] * 4)
    eventually(lambda: client.call("list", {"state": "RUNNING"}))
    process.stdout.close()
    for m in client.call("list", {"state": "RUNNING"}):
        client.call("cancel", [m["id"]], {"running": "kill"})
    process.send_signal(signal.SIGINT)
    assert process.wait(40) in (130, 141)
    eventually(lambda: not client.call("list", {"state": "RUNNING"}))


@pytest.mark.long
def test_map_of_many_keeps_memory_flat(sf):
    lines = b"".join(b"%d\n" % n for n in range(20000))
    most = os.path.join(sf.directory, "most")
    with open(most, "w") as f:
        f.write(lines.decode())
    with open(most) as f:
        process = sf.start("map", "true", stdin=f)
    most = 0
    while process.poll() is None:
        try:
            most = max(most, rss(process.pid))
        except Hang:  # it has just ended
            pass
        select.select([], [], [], 0.02)
    assert process.returncode == 0 and 0 < most < 16 * MIB * (4 if "address" in FUT else 1)


# Signals

def test_interrupt_cancels_and_waits(fut, daemon, client, gate):
    process = fut.start("run", *flat(gate.task()))
    gate.await_start()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 130 and b"is cancelled" in err
    assert [m["state"] for m in client.call("list")] == ["CANCELLED"]


def test_a_second_interrupt_leaves_it(fut, daemon, client):
    process = fut.start("run", "sh", "-c", "trap '' TERM; echo on; while :; do sleep 0.1; done")
    assert process.stdout.readline() == b"on\n"
    process.send_signal(signal.SIGINT)
    assert b"^C again" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=3)
    (running,) = client.call("list", {"state": "RUNNING"})
    assert process.returncode == 130 and b"%d" % running["id"] in err
    client.call("cancel", [running["id"]], {"running": "kill", "grace": 0})
    client.call("wait", [running["id"]])


def test_term_ends_the_task_too(fut, daemon, client, gate):
    process = fut.start("run", *flat(gate.task()))
    gate.await_start()
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 143
    assert [m["state"] for m in client.call("list")] == ["CANCELLED"]


def test_a_hangup_leaves_it(fut, daemon, client, gate):
    process = fut.start("run", *flat(gate.task()))
    gate.await_start()
    process.send_signal(signal.SIGHUP)
    assert process.wait(40) == 129
    assert [m["state"] for m in client.call("list")] == ["RUNNING"]
    gate.open()


class Peer:
    """A daemon of the test's own, that says what the test says; `process` is fut, which asks it."""

    def __init__(self, sf, *args):
        path = os.path.join(sf.directory, "peer.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            self.process = Fut(sf.directory, path).start(*args)
            self.socket, _ = listener.accept()
        os.unlink(path)
        self.said, self.unpacker = [], rpc.unpacker()

    def hear(self):
        data = self.socket.recv(4096)
        self.unpacker.feed(data)
        for frame in self.unpacker:
            self.said.append(frame)
            if frame[2] == "hello":
                self.answer(frame, {"protocol": 1, "server": "a test", "instance": "x", "methods": [], "limits": {}})
        return data

    def request(self, method):
        while not any(frame[2] == method for frame in self.said):
            assert self.hear()
        return next(frame for frame in self.said if frame[2] == method)

    def answer(self, request, result):
        self.socket.sendall(rpc.pack([1, request[1], None, result]))

    def notify(self, method, *params):
        self.socket.sendall(rpc.pack([2, method, params]))


def test_a_hangup_that_comes_with_the_id_leaves_it(sf):
    """fut is stopped before its submit is answered, so that the signal and the answer are there in the same turn."""
    peer = Peer(sf, "run", "true")
    submit = peer.request("submit")
    peer.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, peer.process.pid, os.WSTOPPED)
    peer.answer(submit, 7)
    peer.process.send_signal(signal.SIGHUP)
    peer.process.send_signal(signal.SIGCONT)
    assert peer.process.wait(40) == 129 and b"left 7 to itself" in peer.process.stderr.read()
    while peer.hear():
        pass
    assert "cancel" not in [frame[2] for frame in peer.said]


def test_the_value_of_the_last_attempt_is_not_taken_for_the_whole_stream(sf):
    """An outcome that comes before the rest of the output: what was printed is known of the stream alone."""
    peer = Peer(sf, "run", "--retries", "1", "x")
    peer.answer(peer.request("submit"), 7)
    peer.answer(peer.request("output"), {"stdout": b"first ", "stderr": b""})
    peer.notify("done", 7, "FINISHED", None, {"exit": 0, "stdout": b"second", "stderr": b""})
    peer.notify("output", 7, "stdout", 6, b"second", True)
    peer.notify("output", 7, "stderr", 0, b"", True)
    assert peer.process.communicate(timeout=40) == (b"first second", b"") and peer.process.returncode == 0


def test_interrupt_of_map_cancels_all(fut, daemon, client, gate):
    process = fut.start("map", "sh", "-c", flat(gate.task())[2] + "; : {}", "sh", gate.started, gate.go, ":::", *map(str, range(50)))
    gate.await_start()
    process.send_signal(signal.SIGINT)
    assert process.wait(40) == 130
    assert {m["state"] for m in client.call("list")} == {"CANCELLED"}
    assert process.stderr.read().endswith(b"fut: 50 cancelled, 0 done\n")


def test_the_daemons_end_is_told(fut, daemon):
    process = fut.start("run", "sleep", "100")
    eventually(lambda: fut.json("ls", "--state", "running"))
    daemon.kill()
    out, err = process.communicate(timeout=40)
    assert process.returncode == 125 and b"daemon" in err


# The other verbs

def test_logs_follow_to_the_end(fut, daemon, gate):
    future = fut.submit(*flat(gate.task("echo three", before="echo one; echo two; echo err >&2")))
    gate.await_start()
    eventually(lambda: fut.ok("logs", "--stdout", future) == b"one\ntwo\n")
    process = fut.start("logs", "-f", "-n", "1", future)
    assert process.stdout.readline() == b"two\n"
    gate.open()
    out, err = process.communicate(timeout=40)
    assert (out, err, process.returncode) == (b"three\n", b"err\n", 0)


def test_logs_of_one_stream(sf):
    future = sf.submit("sh", "-c", "echo out; echo err >&2")
    sf.ok("wait", future)
    assert sf.run("logs", future).stderr == b"err\n"
    assert sf.ok("logs", "--stderr", future) == b"err\n"
    assert sf.run("logs", "--stdout", future).stderr == b""


def test_cancel_of_a_running_one_needs_kill(fut, daemon, gate):
    future = fut.submit(*flat(gate.task()))
    gate.await_start()
    done = fut.run("cancel", future)
    assert done.returncode == 1 and b"--kill" in done.stderr
    assert b"%s is running" % future.encode() in done.stderr
    assert fut.run("cancel", "--kill", future).returncode == 0
    assert fut.run("wait", future).returncode == 125
    over = fut.submit("true")
    fut.ok("wait", over)
    assert b"has finished already" in fut.run("cancel", over).stderr


def test_cancel_by_tag_and_pool(fut, daemon, client):
    fut.ok("pool", "pause", "shell")
    tagged, other = fut.submit("-T", "x", "true"), fut.submit("true")
    fut.ok("cancel", "--tag", "x")
    assert client.call("state", [int(tagged), int(other)]) == ["CANCELLED", "PENDING"]
    fut.ok("cancel", "--pool", "shell")
    assert client.call("state", [int(other)]) == ["CANCELLED"]


def test_ids_may_be_ranges(fut, daemon, client):
    fut.ok("pool", "pause", "shell")
    first, count = client.call("map", "shell", "true", [[]] * 4)
    fut.ok("cancel", "%d-%d" % (first, first + 2))
    assert client.call("state", [[first, 4]]) == ["CANCELLED"] * 3 + ["PENDING"]


def test_release_forgets(sf):
    future = sf.submit("true")
    sf.ok("wait", future)
    assert sf.json("release", future) == [{"released": 1}]
    assert sf.run("show", future).returncode == 1


def test_retry_runs_it_again(sf):
    future = sf.submit("echo", "again")
    sf.ok("wait", future)
    again = sf.ok("retry", future).decode().strip()
    assert int(again) > int(future) and sf.ok("result", again) == b"again\n"


def test_why_says_what_it_waits_for(fut, daemon):
    fut.ok("pool", "pause", "shell")
    future = fut.submit("true")
    assert b"(paused)" in fut.ok("why", future)
    assert fut.json("why", future)[0]["why"]["code"] == "paused"


def test_why_of_several_is_a_line_each(sf):
    ids = [sf.submit("true") for _ in range(2)]
    sf.ok("wait", *ids)
    assert [line.split(":")[0] for line in sf.ok("why", *ids).decode().splitlines()] == ids


def test_why_has_numbers(fut, daemon, gate, client):
    script, args = gate.task()
    running = client.call("submit", "one", script, args)
    gate.await_start()
    waiting = [client.call("submit", "one", "true") for _ in range(3)]
    after = client.call("submit", "shell", "true", [], {"after": [running]})
    assert fut.ok("why", str(running)).startswith(b"%d: it is running, for " % running)
    assert b"after %d, which is running (after)" % running in fut.ok("why", str(after))
    assert b"behind 2 in pool one" in fut.ok("why", str(waiting[2])) and b"(workers)" in fut.ok("why", str(waiting[2]))
    why = fut.json("why", str(waiting[2]))[0]["why"]
    assert why["code"] == "workers" and why["ahead"] == 2
    later = client.call("submit", "shell", "true", [], {"delay": 3600})
    line = fut.ok("why", str(later)).decode()
    assert re.search(r"delayed: starts in 60 min, at .*\d\d:\d\d:\d\d \(delay\)", line), line
    client.call("pause", "shell")
    paused = client.call("submit", "shell", "true")
    assert re.search(rb"pool shell was paused .* ago by uid:%d \(paused\)" % os.getuid(), fut.ok("why", str(paused)))
    client.call("cancel", [later])
    assert b"it was cancelled" in fut.ok("why", str(later))
    gate.open()


def test_why_estimates_from_the_mean_run_time(fut, daemon, client, gate):
    for _ in range(3):
        client.call("result", client.call("submit", "one", "sleep", ["0.1"]))
    client.call("submit", "one", *gate.task())
    gate.await_start()
    last = [client.call("submit", "one", "true") for _ in range(20)][-1]
    reason = client.call("show", last)["why"]
    assert reason["ahead"] == 19 and 1 < reason["seconds"] < 60 and "(about " in reason["message"]
    gate.open()


def test_why_of_a_retry_tells_which_attempt(fut, daemon, client):
    future = fut.submit("--retries", "2", "--retry-delay", "1h", "false")
    eventually(lambda: (client.call("show", int(future))["why"] or {}).get("code") == "retry")
    assert b"attempt 1 of 3 failed; tried again in 60 min, at " in fut.ok("why", future)


def test_show_is_a_page(fut, daemon):
    fut.run("run", "-n", "nightly", "-T", "big", "--priority", "3", "sh", "-c", "echo out; seq 12 >&2; exit 3")
    page = fut.ok("show", "1").decode()
    assert page.startswith("1  nightly\n   sh -c 'echo out; seq 12 >&2; exit 3'\n\n")
    for line in (r"state +failed", r"pool +shell, priority 3", r"tags +big", r"submitted +\d\d:\d\d:\d\d, .* ago, by uid:\d+", r"started .*, after ",
                 r"ran +for ", r"printed +4 B to stdout, 27 B to stderr", r"error +exit 3", r"…stderr +3\n +4\n"):
        assert re.search("^" + line, page, re.M), (line, page)
    assert "null" not in page and "[]" not in page


def test_failures_lists_what_nobody_looked_at(fut, daemon):
    future = fut.submit("sh", "-c", "exit 3")
    fut.json("ls")
    eventually(lambda: fut.json("failures"))
    assert b"exit 3" in fut.ok("failures")
    assert [m["id"] for m in fut.json("failures", "--seen")] == [int(future)]
    assert fut.json("failures") == []


def test_ls_filters(fut, daemon):
    a, b = fut.submit("-n", "alpha", "-T", "t", "true"), fut.submit("-p", "one", "true")
    fut.run("wait", a, b)
    ids = lambda *args: [str(m["id"]) for m in fut.json("ls", *args)]  # noqa: E731
    assert ids() == [a, b] and ids("-n", "alpha") == [a] and ids("--tag", "t") == [a] and ids("--pool", "one") == [b]
    assert ids("--state", "running") == [] and ids("--since", "1h") == [a, b] and ids("--limit", "1") == [b]
    assert ids("--since", "2037-01-01") == []
    assert b"alpha" in fut.ok("ls")


def test_ls_by_several_states(fut, daemon, client, gate):
    ids = [fut.submit("true"), fut.submit("false"), fut.submit("--delay", "1h", "true"), fut.submit("--delay", "1h", "true")]
    client.call("wait", [1, 2])
    fut.ok("cancel", ids[3])
    running = str(client.call("submit", "shell", *gate.task()))
    gate.await_start()
    listed = lambda states: fut.ok("ls", "-s", states, "--ids").decode().split()
    assert listed("succeeded") == [ids[0]] and listed("failed") == [ids[1]] and listed("finished") == ids[:2]
    assert listed("pending,running") == [ids[2], running] and listed("Failed,CANCELLED") == [ids[1], ids[3]]
    assert fut.ok("ls", "--count") == b"5\n" and fut.ok("ls", "-s", "failed", "--count") == b"1\n"
    assert fut.json("ls", "-s", "running", "--count") == [{"count": 1}]
    assert fut.run("ls", "-s", "failed,lost").returncode == 2 and fut.run("ls", "--ids", "--count").returncode == 2
    gate.open()


def test_ls_watch_in_a_pipe_tells_changes(fut, daemon, gate, client):
    process = fut.start("--json", "ls", "--watch")
    future = client.call("submit", "shell", *gate.task())
    told = json.loads(process.stdout.readline())
    assert told["id"] == future
    while told["state"] != "RUNNING":
        told = json.loads(process.stdout.readline())
    gate.open()
    told = json.loads(process.stdout.readline())
    assert (told["id"], told["state"]) == (future, "FINISHED")
    process.stdout.close()
    assert process.wait(40) in (0, 141)


def test_ls_since_takes_spans_times_and_days(fut, daemon):
    future = fut.submit("true")
    today = time.strftime("%Y-%m-%d")
    for since in ("1h", "00:00", today, today + " 00:00", "1970-01-01"):
        assert fut.ok("ls", "--since", since, "--ids").decode().split() == [future], since
    assert fut.ok("ls", "--since", "2100-01-01", "--ids") == b""
    wrong = fut.run("ls", "--since", "yesterday")
    assert wrong.returncode == 2 and b"14:30" in wrong.stderr and b"yesterday" in wrong.stderr


def test_a_pool_can_be_held_and_resized(fut, daemon):
    fut.ok("pool", "pause", "shell")
    fut.ok("pool", "resize", "shell", "3")
    (pool,) = fut.json("pool", "show", "shell")
    assert pool["paused"] is True and pool["workers"] == 3
    assert b"paused" in fut.ok("pool", "ls")
    fut.ok("pool", "resume", "shell")
    fut.ok("pool", "drain", "shell")
    assert b"ready" in fut.ok("pool", "ls")
    assert b"did you mean 'pause'" in fut.run("pool", "pasue", "shell").stderr


def test_call_prints_a_value(sf):
    assert json.loads(sf.ok("call", "shell", "echo", "hi")) == {"exit": 0, "stdout": "hi\n", "stderr": ""}
    assert json.loads(sf.ok("call", "shell", "echo", "--args", '["a", "b"]'))["stdout"] == "a b\n"
    assert json.loads(sf.ok("call", "shell", "cat", "--args", "-", input=b"[]"))["exit"] == 0
    assert sf.run("call", "shell", "false").returncode == 1


@pytest.mark.parametrize("text", ["[", "{}", "1", "[18446744073709551616]", '["\\ud800"]', '[{"base64": "x"}]'])
def test_call_refuses_what_is_not_an_array_of_json(sf, text):
    done = sf.run("call", "shell", "echo", "--args", text)
    assert done.returncode == 2 and b"--args" in done.stderr and done.stdout == b""


def test_call_passes_bytes_as_base64(sf):
    assert json.loads(sf.ok("call", "shell", "echo", "--args", '["-n", {"base64": "/w=="}]'))["stdout"] == {"base64": "/w=="}


def test_events_are_json_lines(fut, daemon):
    process = fut.start("events")
    eventually(lambda: fut.submit("true") and select.select([process.stdout], [], [], 0.2)[0])
    assert isinstance(json.loads(process.stdout.readline()), dict)
    process.terminate()
    process.wait(40)


@pytest.mark.config(pools={"lua": {"kind": "interpreter", "runtime": "lua"}})
@pytest.mark.parametrize("verb, status", [("run", 125), ("submit", 1), ("map", 1)])
def test_a_command_in_a_pool_of_functions_is_told_how_to_call_one(fut, daemon, verb, status):
    done = fut.run(verb, "-p", "lua", "true", *([":::", "a", "b"] if verb == "map" else []))
    assert done.returncode == status
    assert done.stderr.splitlines() == ["fut: pool lua is of kind interpreter: it runs functions, not commands; `fut call lua FN ARG…` calls one".encode()]


def test_a_refusal_of_map_is_said_once(sf):
    done = sf.run("map", "-p", "nosuch", "true", ":::", "a", "b")
    assert done.returncode == 1 and done.stderr == b"fut: there is no pool 'nosuch'; `fut pool ls` lists the pools\n"
    assert [line["status"] for line in sf.json("map", "-p", "nosuch", "true", ":::", "a", "b")] == [125, 125]


def test_reload_says_that_it_did(fut, daemon):
    assert b"reloaded" in fut.run("daemon", "reload").stderr


RICH = {
    "retain": "90m", "admins": ["token:ci", "root"], "log": {"level": "debug"}, "limits": {"queue": 77, "memory": "3MiB", "user": {"pending": 7}},
    "client_pools": {"enabled": False},
    "pools": {
        "odd-1": {"kind": "command", "workers": 3, "env": {"A": "x y", "Q": "it's \"q\" \\", "EMPTY": ""}, "umask": "027", "nice": 3,
                        "limits": {"files": 99, "cpu": "2s"}, "timeout": "1500ms", "retain": "5m", "lock": ["cwd", "env"]},
        "lua": {"kind": "interpreter", "runtime": "lua", "memory": "7MiB"},
        "own": {"kind": "process", "runtime": ["/bin/sh", "-c", "exit 1 # 'x'"]},
    },
}


def test_the_configuration_in_effect_reads_back_as_itself(launch, tmp_path):
    daemon = launch(RICH)
    text = Fut(daemon.directory, daemon.address).ok("daemon", "config").decode()
    assert text.startswith("# %s\n" % daemon.config_path)
    for line in ("retain: 1h30m|retain: 90m", "  queue: 77", "  odd-1:", "    umask: 027", "      files: 99", "    timeout: 1500ms", "admins: .*token:ci.*, root."):
        assert re.search("^(%s)$" % line, text, re.M), line
    copy = tmp_path / "copy.yaml"
    copy.write_text(text)
    copy.chmod(0o600)
    daemon.client().call("shutdown")
    daemon.process.wait()
    again = subprocess.Popen([os.path.join(os.path.dirname(FUT), "futured"), "-c", str(copy)], stderr=subprocess.DEVNULL)
    try:
        fut = Fut(daemon.directory, daemon.address)
        eventually(lambda: fut.run("daemon", "ping").returncode == 0)
        assert fut.ok("daemon", "config").decode().split("\n", 1)[1] == text.split("\n", 1)[1]
    finally:
        again.terminate()
        again.wait()


def test_a_page_says_how_the_task_was_submitted(fut, daemon, gate):
    first = fut.submit("--delay", "1h", "true")
    future = fut.submit("-n", "rich", "-T", "a", "-T", "b", "-e", "MINE=it's \x1b[31m", "-e", "LONG=" + "x" * 1000, "-C", "/tmp", "--timeout", "100", "--deadline", "1h",
                        "--delay", "5400", "--retries", "2", "--retry-delay", "1.5", "--key", "once", "--after", first + "," + first, "--retain", "25h", "--nice", "4",
                        "--limit", "memory=100MiB", "--limit", "files=99", "sleep", "1")
    page = fut.ok("show", future).decode()
    for line in ("pool       shell, attempt 1 of 3, 1.5 s between them, doubled each time", "key        once", "after      " + first, "delay      1 h 30 min",
                 r"limits     timeout 1 min 40 s, deadline 1 h \([-0-9: ]+\), memory 100.0 MiB, files 99", "nice       4", "directory  /tmp",
                 r"env        (MINE=it's \\x1b\[31m|LONG=x{150,}…)", "kept       for 1 d 1 h after it has finished"):
        assert re.search("^%s$" % line, page, re.M), (line, page)
    running = fut.submit(*flat(gate.task()))
    pid = gate.await_start()
    page = fut.ok("show", running).decode()
    assert re.search(r"^running    for .*, in process %d of worker [0-9]+$" % pid, page, re.M), page
    gate.open()
    fut.ok("wait", running)
    page = fut.ok("show", running).decode()
    assert re.search(r"^kept       until [-0-9: ]+, .* after it finished$", page, re.M), page


def test_the_configuration_in_effect_says_where_clients_connect(alone):
    """Also where no address was configured: every key is there."""
    alone.ok("daemon", "start")
    text = alone.ok("daemon", "config").decode()
    assert re.search("^listen: \\[\\]  # unix:%s$" % re.escape(os.path.join(alone.directory, "futured", "futured.sock")), text, re.M)
    keys = re.findall("^#?([a-z_]+):", open(os.path.join(ROOT, "config", "futured.yaml")).read(), re.M)
    assert re.findall("^([a-z_]+):", text, re.M) == list(dict.fromkeys(keys))


def test_stats_are_a_page(sf):
    page = sf.ok("daemon", "stats").decode()
    for line in (r"daemon +\S+, process \d+, up ", r"futures +\d+ pending, \d+ running, ", r"since start +\d+ submitted, ", r"memory +\S+ \S*B, of it"):
        assert re.search("^" + line, page, re.M), (line, page)
    assert sf.json("daemon", "stats")[0]["futures"]["RUNNING"] >= 0


def test_daemon_verbs(sf):
    assert b"answers in" in sf.ok("daemon", "ping")
    assert b", up " in sf.ok("daemon", "stats")
    assert b"futured" in sf.ok("daemon", "version")
    assert sf.json("daemon", "ping")[0]["seconds"] < 5


def test_daemon_stop_ends_it(fut, daemon):
    fut.ok("daemon", "stop")
    assert daemon.await_end() == 0


def test_daemon_stop_wait_lets_tasks_finish(fut, daemon):
    path = os.path.join(fut.directory, "done")
    fut.submit("sh", "-c", "sleep 0.3; touch " + path)
    fut.ok("daemon", "stop", "--wait")
    assert daemon.await_end() == 0 and os.path.exists(path)


# The same words in every verb

@pytest.mark.parametrize("args", [["run", "-p", "shel", "true"], ["submit", "-p", "shel", "true"], ["call", "shel", "f"], ["map", "-p", "shel", "true", ":::", "1"], ["ls", "-p", "shel"],
                                  ["ls", "-p", "shel", "--count"], ["ls", "-p", "shel", "--watch"], ["cancel", "-p", "shel"], ["events", "-p", "shel"], ["pool", "pause", "shel"],
                                  ["pool", "show", "shel"], ["bench", "--seconds", "10ms", "shel", "f"]], ids=" ".join)
def test_an_unknown_pool_is_told_in_the_same_words(sf, args):
    done = sf.run(*args)
    assert done.returncode == (125 if args[0] == "run" else 1) and done.stderr == b"fut: there is no pool 'shel'; did you mean 'shell'?\n"
    done = sf.run("--json", *args)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["error"] == {"type": "UnknownPoolError", "message": "there is no pool 'shel'"} and done.stderr == b""
    assert args[0] != "bench" or len(done.stdout.splitlines()) == 1  # nothing is measured


def test_a_pool_that_is_like_none_is_told_with_where_they_are_listed(sf):
    assert sf.run("ls", "-p", "zzzzzzz").stderr == b"fut: there is no pool 'zzzzzzz'; `fut pool ls` lists the pools\n"


@pytest.mark.parametrize("args, type", [(["show", "4000000000"], "UnknownFutureError"), (["wait", "4000000000"], "UnknownFutureError"), (["logs", "4000000000"], "UnknownFutureError"),
                                        (["retry", "4000000000"], "UnknownFutureError"), (["submit", "--nice", "-5", "-p", "nosuch", "true"], "UnknownPoolError"),
                                        (["pool", "resize", "nosuch", "3"], "UnknownPoolError"), (["call", "shell", "false"], "ExitError")], ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_an_error_in_json_is_an_object_on_stdout(sf, args, type):
    done = sf.run("--json", *args)
    assert json.loads(done.stdout)["error"]["type"] == type and done.stderr == b"" and done.returncode in (1, 125)


def test_no_daemon_in_json(tmp_path):
    for args in (["run", "true"], ["ls"], ["daemon", "ping"]):
        done = Fut(str(tmp_path), str(tmp_path / "none.sock")).run("--json", *args)
        assert json.loads(done.stdout)["error"]["type"] == "NoDaemonError" and done.stderr == b""


def test_what_has_no_answer_is_an_empty_object(sf):
    assert sf.json("daemon", "drain") == [{}]
    assert sf.json("pool", "pause", "one") == [{}] == sf.json("pool", "resume", "one")


def test_an_option_with_ids_is_named(sf):
    assert b"submit: --after: expected an id" in sf.run("submit", "--after", "x", "true").stderr


def test_the_daemons_end_tells_how_to_go_on(launch):
    """What was lost is known when it is there again."""
    daemon = launch({"store": "sqlite"})
    fut = Fut(daemon.directory, daemon.address)
    verbs = {"run": ["run", "sleep", "100"], "map": ["map", "--joblog", "log", "sleep", ":::", "100", "100"], "wait": ["wait", "1"], "several": ["wait", "1", "2"],
             "result": ["result", "1"], "logs": ["logs", "-f", "1"]}
    started = {}
    for name, args in verbs.items():
        started[name] = fut.start(*args)
        if name in ("run", "map"):
            eventually(lambda: len(fut.json("ls")) == (1 if name == "run" else 3))
    eventually(lambda: fut.json("daemon", "stats")[0]["connections"] >= 7)
    daemon.kill()
    told = {name: process.communicate(timeout=40)[1].decode() for name, process in started.items()}
    assert {name: process.returncode for name, process in started.items()} == {"run": 125, "wait": 125, "several": 125, "result": 125, "logs": 1, "map": 1}
    for name in ("run", "wait", "result", "logs"):
        assert told[name] == "fut: lost the daemon; `fut show 1` tells what became of 1\n", told
    assert told["several"] == "fut: lost the daemon; `fut show 1-2` tells what became of them\n"
    assert told["map"].startswith("fut: lost the daemon; 0 of 2 were done, and --resume goes on where the joblog ends\n"), told


# Cancelling many

def test_cancel_of_many_is_one_line(fut, daemon, gate):
    tasks = [fut.submit("-T", "q", *flat(gate.task())) for _ in range(2)]
    for _ in tasks:
        gate.await_start()
    for _ in range(7):
        fut.submit("-T", "q", "true")
    done = fut.run("cancel", "--tag", "q")
    assert done.returncode == 0 and done.stderr == b"fut: 7 cancelled, 2 are running (--kill stops them)\n"
    done = fut.run("cancel", "--tag", "q")
    assert done.returncode == 0 and done.stderr == b"fut: nothing waits; 2 are running (--kill stops them)\n"
    done = fut.run("cancel", "1-9")
    assert done.returncode == 1 and done.stderr == b"fut: 7 cancelled, 2 are running (--kill stops them)\n"
    gate.open(2)
    fut.run("wait", *tasks)
    assert fut.run("cancel", "--tag", "q").stderr == b"fut: nothing is left to cancel\n"


def test_cancel_of_nothing_says_so(sf):
    done = sf.run("cancel", "--tag", "nosuch")
    assert done.returncode == 1 and done.stderr == b"fut: nothing has the tag 'nosuch'\n"
    assert sf.run("cancel", "--pool", "one").stderr == b"fut: nothing in pool one is left to cancel\n"


def test_cancel_ask_of_one_that_is_over_fails(fut, daemon, gate):
    running = fut.submit(*flat(gate.task()))
    gate.await_start()
    over = fut.submit("true")
    fut.ok("wait", over)
    done = fut.run("cancel", "--ask", over)
    assert done.returncode == 1 and b"%s has finished already" % over.encode() in done.stderr
    done = fut.run("cancel", "--ask", running)
    assert done.returncode == 0 and b"%s was asked to stop" % running.encode() in done.stderr
    fut.run("wait", running)
    done = fut.run("cancel", "--ask", running)
    assert done.returncode == 0 and b"%s is cancelled" % running.encode() in done.stderr


def test_release_of_one_that_is_not_over_says_when(fut, daemon, gate):
    running = fut.submit(*flat(gate.task()))
    gate.await_start()
    waiting, over = fut.submit("--delay", "1h", "true"), fut.submit("true")
    fut.ok("wait", over)
    assert fut.run("release", running).stderr == b"fut: %s is forgotten when it ends\n" % running.encode()
    assert fut.run("release", waiting, over).stderr == b"fut: 1 released\nfut: %s is forgotten when it ends\n" % waiting.encode()
    gate.open()
    eventually(lambda: fut.run("show", running).returncode == 1)


def test_daemon_stop_wait_gives_up_after_its_timeout(fut, daemon, gate):
    script, args = gate.task()
    running = fut.submit("-p", "one", script, *args)
    gate.await_start()
    waiting = [fut.submit("-p", "one", "true") for _ in range(2)]
    done = fut.run("daemon", "stop", "--wait", "--timeout", "0.3")
    assert done.returncode == 1 and done.stderr.decode() == "fut: waits for {0}\nfut: it still waits for {0}\n".format("1 running (%s) and 2 pending (%s-%s)" % (running, *waiting))
    gate.open()
    assert daemon.await_end() == 0


@pytest.mark.config(stop_timeout="30s")
def test_stopping_says_what_it_waits_for(fut, daemon, gate):
    """It stood there for the ten seconds that running tasks get, and said nothing."""
    running = fut.submit(*flat(gate.task()))
    gate.await_start()
    done = fut.run("daemon", "stop", "--timeout", "1.5s")
    told, still = done.stderr.decode().splitlines()
    assert told == "fut: waits for 1 running (%s); if not done by stop_timeout, or by the next `fut daemon stop`, they are killed" % running
    assert done.returncode == 1 and still == "fut: it still waits for 1 running (%s)" % running
    assert fut.run("daemon", "stop").stderr.decode().splitlines()[-1] == "fut: stopped"
    assert daemon.await_end() == 0


def test_a_note_is_written_in_one_go(fut):
    """What several wrote to one terminal at the same time was mixed letter by letter."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        assert fut.run("show", "4000000000", stderr=theirs).returncode == 1
        assert ours.recv(1000) == b"fut: UnknownFutureError: there is no future 4000000000: no such id was given yet\n"


# Starting one's own

@pytest.fixture
def alone(tmp_path):
    """fut without a daemon; the one that it starts is stopped at the end."""
    fut = Fut(str(tmp_path), FUTURED_NO_START=None)
    os.chmod(tmp_path, 0o700)
    yield fut
    pids = [d["pid"] for d in fut.json("daemon", "start")]
    fut.run("daemon", "stop")
    for pid in pids:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass


@pytest.mark.parametrize("args", [["run", "echo", "hi"], ["submit", "true"], ["map", "echo", ":::", "hi"], ["call", "shell", "true"]],
                         ids=lambda v: v[0])
def test_a_daemon_is_started_when_none_answers(alone, args):
    done = alone.run(*args)
    assert done.returncode == 0 and done.stderr == b"" and done.stdout


def test_looking_does_not_start_one(alone):
    assert alone.run("ls").returncode == 69


def test_two_that_start_at_once_find_one(alone):
    several = [alone.start("run", "sh", "-c", "echo $PPID") for _ in range(4)]
    answers = [p.communicate(timeout=20) for p in several]
    assert [p.returncode for p in several] == [0] * 4, answers
    (started,) = alone.json("daemon", "start")
    assert started["started"] is False
    with open("/proc/%d/stat" % started["pid"]) as f:
        assert f.read().rsplit(")", 1)[1].split()[3] == str(started["pid"])  # a session of its own


@pytest.mark.parametrize("env, args", [({"FUTURED_NO_START": "1"}, []), ({}, ["--no-start"])], ids=["variable", "option"])
def test_starting_can_be_forbidden(tmp_path, env, args):
    done = Fut(str(tmp_path), **{"FUTURED_NO_START": None, **env}).run(*args, "run", "true")
    assert done.returncode == 125 and b"no daemon answers" in done.stderr
    assert not os.path.exists(str(tmp_path / "futured"))


def test_a_directory_that_others_may_enter_is_refused(tmp_path):
    os.mkdir(tmp_path / "futured", 0o777)
    os.chmod(tmp_path / "futured", 0o777)
    done = Fut(str(tmp_path), FUTURED_NO_START=None).run("run", "true")
    assert done.returncode == 125 and b"belongs to you alone" in done.stderr


def test_a_daemon_that_does_not_start_says_why(tmp_path):
    os.chmod(tmp_path, 0o700)
    done = Fut(str(tmp_path), FUTURED_NO_START=None, XDG_STATE_HOME="/proc/nope").run("run", "true")
    assert done.returncode == 125 and b"was started and does not answer\n" in done.stderr and b"/proc/nope" in done.stderr


@pytest.mark.parametrize("address, told", [("unix:", b"'unix:': the path"), ("nonsense", b"'nonsense': expected unix:PATH"), ("unix:/none/at all", b"'unix:/none/at all': No such file")])
def test_an_address_is_quoted(sf, address, told):
    done = sf.run("-a", address, "ls")
    assert done.returncode in (2, 69) and told in done.stderr


def test_an_empty_address_is_none(alone):
    assert alone.run("run", "echo", "hi", env={"FUTURED_ADDRESS": ""}).stdout == b"hi\n"


# bench

def test_bench_measures_the_daemon_and_a_task(sf):
    ping, call = [json.loads(line) for line in sf.ok("--json", "bench", "--seconds", "50ms", "--depth", "10", "shell", "true", "measured").splitlines()]
    assert (ping["what"], call["what"], call["depth"]) == ("ping", "call", 10)
    assert call["round_trip_us"] > ping["round_trip_us"] > 0 and call["p99_us"] >= call["round_trip_us"] and call["per_second"] > 0
    assert sf.ok("bench", "--seconds", "50ms").startswith(b"ping ")
    assert all(f["args"] != ["measured"] for f in sf.json("ls")), "a call is not kept"


@pytest.mark.parametrize("args, status, words", [
    (["bench", "shell"], 2, b"behind the pool"),
    (["bench", "--depth", "0"], 2, b"--depth"),
    (["bench", "--seconds", "50ms", "nowhere", "true"], 1, b"no pool"),
    (["bench", "--seconds", "50ms", "shell", "false"], 1, b"status 1"),
])
def test_bench_says_what_is_wrong(sf, args, status, words):
    done = sf.run(*args)
    assert done.returncode == status and words in done.stderr, done
