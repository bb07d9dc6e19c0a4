"""Completion: what could stand in a place, live from the daemon, and the scripts of the shells that ask for it."""
import os
import shutil
import subprocess

import pytest

from cli_helper import FUT, Fut, Terminal
from helpers import eventually

CONFIG = {"pools": {"native": {"kind": "thread", "runtime": "native", "modules": [os.path.join(os.path.dirname(FUT), "..", "modules", "work.so")]}}}


def offered(fut, *words):
    done = fut.run("__complete", *words)
    assert done.returncode == 0 and done.stderr == b""
    return [line.split("\t") for line in done.stdout.decode().splitlines()]


def names(fut, *words):
    return [row[0] for row in offered(fut, *words)]


@pytest.fixture
def alone(tmp_path):
    """Nobody answers."""
    return Fut(str(tmp_path), str(tmp_path / "none.sock"))


@pytest.mark.parametrize("words, some", [
    ([""], ["run", "submit", "map", "help"]), (["wa"], ["wait"]), (["-"], ["--json", "--address"]), (["help", "ru"], ["run"]),
    (["pool", ""], ["ls", "resize"]), (["daemon", "st"], ["start", "stats", "stop"]), (["daemon", "b"], ["backup"]), (["completion", ""], ["bash", "zsh", "fish"]),
    (["run", "--ti"], ["--timeout"]), (["ls", "--state", "r"], ["running"]), (["--color", ""], ["auto", "never"]), (["--json", "wa"], ["wait"]),
    (["run", "-p", "shell", "--n"], ["--name", "--nice"]), (["map", "--halt", "now"], ["now,fail=1"]),
    (["ls", "--state=r"], ["--state=running"]), (["ls", "-s", "failed,r"], ["failed,running"]), (["ls", "--state=failed,"], ["--state=failed,running", "--state=failed,failed"]),
    (["--color=a"], ["--color=auto", "--color=always"]), (["run", "--stdin="], [":files"]), (["map", "--halt=now"], ["--halt=now,fail=1"]),
    (["run", "--limit", ""], ["memory="]), (["run", "-i", ""], [":files"]), (["run", "-C", ""], [":directories"]),
    (["run", ""], [":command 2"]), (["run", "--", "git", "-"], [":command 3"]), (["run", "-p", "x", "git", "--"], [":command 4"]),
    (["--json", "submit", "-n", "name", "ls", ""], [":command 5"]),
], ids=" ".join)
def test_what_needs_no_daemon(alone, words, some):
    assert set(some) <= set(names(alone, *words))


@pytest.mark.parametrize("words", [["wait", ""], ["run", "-p", ""], ["call", "x", ""], ["nosuch", ""], ["ls", "-T", ""], ["wait", "--", "-"]], ids=" ".join)
def test_without_a_daemon_there_is_silence(alone, words):
    assert offered(alone, *words) == []


def test_hidden_verbs_stay_hidden(alone):
    assert "__complete" not in names(alone, "") and b"__complete" not in alone.ok("help")


def test_ids_come_live_with_what_they_are(fut, daemon, gate):
    fut.run("run", "-n", "broken", "false")
    slow = fut.start("run", "-n", "slow", *["sh", "-c", "echo $$ >%s; read x <%s" % (gate.started, gate.go)])
    gate.await_start()
    assert offered(fut, "wait", "") == [["2", "RUNNING slow"]]
    assert offered(fut, "logs", "") == [["2", "RUNNING slow"], ["1", "FAILED broken"]]
    assert names(fut, "retry", "") == ["1"] and names(fut, "show", "1") == ["1"] and names(fut, "wait", "3") == []
    assert names(fut, "submit", "--after", "") == ["2", "1"]
    gate.open()
    slow.wait()


def test_pools_tags_and_names_come_live(fut, daemon):
    fut.submit("-T", "nightly", "-T", "big", "-n", "backup", "true")
    assert names(fut, "ls", "-T", "") == ["nightly", "big"] and names(fut, "ls", "-n", "") == ["backup"]
    assert ["shell", "command, 0/2 busy, 0 pending"] in eventually(lambda: [
        row for row in offered(fut, "pool", "pause", "") if row[0] == "shell" and "0/2" in row[1]])


def test_bench_takes_what_call_takes(fut, daemon, client):
    client.call("result", client.call("submit", "native", "noop"))
    assert "shell" in names(fut, "bench", "") and "noop" in names(fut, "bench", "native", "no")


def test_functions_come_live(fut, daemon, client):
    assert names(fut, "run", "-p", "n") == []  # it runs no commands
    assert "native" in names(fut, "call", "n")
    client.call("result", client.call("submit", "native", "noop"))
    assert {"count_words", "count_primes"} <= set(names(fut, "call", "native", "count"))
    assert names(fut, "call", "native", "noop") == ["noop"]


@pytest.mark.config(pools={"lua": {"kind": "interpreter", "runtime": "lua"}})
def test_functions_that_were_called_may_be_meant_again(fut, daemon, client):
    for source in ("1", "2", "nonsense("):
        client.call("wait", [client.call("submit", "lua", "eval", [source])])
    client.call("wait", [client.call("submit", "lua", "nosuch")])
    assert names(fut, "call", "lua", "") == ["eval"]


def test_of_very_many_the_newest_are_offered(fut, daemon, client):
    """One answer of the daemon has 10,000, and those were the oldest."""
    client.call("pause", "shell")
    client.call("map", "shell", "true", [[]] * 11000)
    assert "11000" in names(fut, "show", "") and names(fut, "wait", "1099") == ["10999", "10998", "10997", "10996", "10995", "10994", "10993", "10992", "10991", "10990"]


def test_names_cannot_break_out_of_their_line(fut, daemon):
    fut.submit("-T", "a\nb", "-T", "\x1b[2J", "-n", "x\ty\nz", "true")
    fut.ok("wait", "1")
    for row in offered(fut, "ls", "-T", "") + offered(fut, "show", ""):
        assert len(row) <= 2 and "\x1b" not in "".join(row)


# The scripts

@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_scripts(alone, shell):
    script = alone.ok("completion", shell)
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, check=True)


def test_bash_completes(fut, daemon):
    fut.ok("run", "-n", "first", "true")

    def complete(*words):
        script = 'eval "$(fut completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fut 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"'
        env = {**fut.env, "PATH": os.path.dirname(FUT) + ":" + fut.env["PATH"]}
        return subprocess.run(["bash", "-c", script, "bash", *words], env=env, stdout=subprocess.PIPE, check=True).stdout.decode().split()

    assert complete("fut", "logs", "") == ["1"]
    assert complete("fut", "pool", "dr") == ["drain"]
    assert "true" in complete("fut", "run", "tru")


@pytest.mark.parametrize("typed, becomes", [("ls --state=ru", b"--state=running"), ("ls -n my", b"ls -n my\\ \\$name"), ("ls -n 'my", b"ls -n 'my $name'"), ("ls -n col", b"ls -n colon:here"),
                                            ("ls -n colon:h", b"ls -n colon:here"), ("ls --name=col", b"ls --name=colon:here"), ("--color=ne", b"--color=never"),
                                            ("ls -s failed,ru", b"failed,running"), ("run --timeout=5 readlin", b"run --timeout=5 readlink"), ("daemon ba", b"daemon backup")], ids=lambda v: v if isinstance(v, str) else None)
def test_bash_completes_what_is_typed(fut, daemon, typed, becomes):
    fut.ok("run", "-n", "my $name", "true")
    fut.ok("run", "-n", "colon:here", "true")
    shell = Terminal(["/bin/bash", "--norc", "--noprofile", "-i"], {**fut.env, "PS1": "ready> ", "PATH": os.path.dirname(FUT) + ":" + fut.env["PATH"]}, fut.directory, columns=200)
    shell.until(b"ready>").type(b'eval "$(fut completion bash)"; bind "set bell-style none"; echo lo""aded\r').until(b"loaded\r\n")
    shell.type(b"fut " + typed.encode() + b"\t").until(becomes)
    shell.type(b"\x15exit\r")
    shell.wait()


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_fish_completes_values(fut, daemon):
    fut.ok("run", "-n", "my $name", "true")
    env = {**fut.env, "PATH": os.path.dirname(FUT) + ":" + fut.env["PATH"]}
    for typed, offered in (("fut ls --state=r", b"--state=running\n"), ("fut ls -n ", b"my $name\n"), ("fut ls -s failed,r", b"failed,running\n")):
        done = subprocess.run(["fish", "-c", "fut completion fish | source; complete -C '%s'" % typed], env=env, stdout=subprocess.PIPE, check=True)
        assert done.stdout == offered


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_fish_completes(fut, daemon):
    fut.ok("run", "-n", "first", "true")
    env = {**fut.env, "PATH": os.path.dirname(FUT) + ":" + fut.env["PATH"]}
    done = subprocess.run(["fish", "-c", 'fut completion fish | source; complete -C "fut logs "'], env=env, stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"1\tFINISHED first\n"
