"""fut map's grammar: several sources, columns, places, the joblog, resuming it, and giving up early."""
import json
import os
import signal

import pytest

from cli_helper import Fut
from helpers import eventually


def lines(text):
    return text.decode().splitlines()


@pytest.fixture
def written(tmp_path):
    """Writes a file and returns its path."""
    def write(name, text):
        (tmp_path / name).write_bytes(text)
        return str(tmp_path / name)
    return write


# What GNU parallel's users type

def test_options_that_are_so_in_any_case_are_taken(sf):
    assert lines(sf.ok("map", "-k", "--bar", "--eta", "--line-buffer", "--keep-order", "echo", ":::", "b", "a")) == ["b", "a"]
    assert b"--eta\n" not in sf.ok("map", "-h")


def test_jobs_may_be_relative_to_the_processors(fut, daemon):
    cpus = os.sysconf("SC_NPROCESSORS_ONLN")
    fut.ok("pool", "resize", "shell", str(4 * cpus))
    for jobs, most in (("+1", cpus + 1), ("200%", 2 * cpus), ("-1", max(1, cpus - 1)), ("1%", 1), ("0", 4 * cpus)):
        script = 'mkdir run$0 && ls -d run* | wc -l; sleep 0.1; rmdir run$0'
        seen = [int(n) for n in lines(fut.ok("map", "-j" + jobs, "sh", "-c", script, ":::", *map(str, range(8 * cpus))))]
        assert max(seen) <= most and (most == 1 or max(seen) > 1), (jobs, seen)


def test_a_name_that_is_a_number_is_written_out(sf):
    sf.ok("map", "--keep", "--name", "2", "true", ":::", "a")
    assert sf.json("ls", "-n", "2")


# Sources

@pytest.mark.parametrize("operands, seen", [
    ("::: a b ::: 1 2", ["a 1", "a 2", "b 1", "b 2"]),
    ("::: a b :::+ 1 2", ["a 1", "b 2"]),
    ("::: a b :::+ 1 2 3", ["a 1", "b 2"]),
    ("::: a b :::+ 1 2 ::: x y", ["a 1 x", "a 1 y", "b 2 x", "b 2 y"]),
    ("::: a b ::: 1 2 :::+ x y", ["a 1 x", "a 2 y", "b 1 x", "b 2 y"]),
    ("::: a b :::", []),
    ("::: a ::: b ::: c ::: d e", ["a b c d", "a b c e"]),
], ids=str)
def test_sources_are_combined_the_last_changing_fastest(sf, operands, seen):
    assert lines(sf.ok("map", "echo", *operands.split())) == seen
    assert lines(sf.ok("map", "--dry-run", "echo", *operands.split())) == ["echo " + line for line in seen]


def test_files_are_sources(sf, written):
    one, two = written("one", b"a\n\nb b\n"), written("two", b"1\n2")
    assert lines(sf.ok("map", "echo", "::::", one)) == ["a", "b b"]
    assert lines(sf.ok("map", "echo", "::::", one, two)) == ["a 1", "a 2", "b b 1", "b b 2"]
    assert lines(sf.ok("map", "echo", "::::", one, "::::+", two)) == ["a 1", "b b 2"]
    assert lines(sf.ok("map", "echo", "::::", one, ":::", "x")) == ["a x", "b b x"]
    assert lines(sf.ok("map", "echo", "::::", "-", ":::", "x", "y", input=b"in\n")) == ["in x", "in y"]
    assert lines(sf.ok("map", "-0", "echo", "::::", written("nul", b"p\0q\0"))) == ["p", "q"]


@pytest.mark.parametrize("word, becomes", [
    ("{1}", "d/a.c"), ("{2}", "e/b.tar.gz"), ("{2.}", "e/b.tar"), ("{2/}", "b.tar.gz"), ("{2//}", "e"), ("{2/.}", "b.tar"), ("{-1}", "e/b.tar.gz"),
    ("{-2.}", "d/a"), ("{0}", "{0}"), ("x{1/}y{2/}", "xa.cyb.tar.gz"), ("{}", "d/a.c e/b.tar.gz"), ("{/}", "a.c b.tar.gz"),
    ("[{}]", "[d/a.c e/b.tar.gz]"), ("{#}", "1"), ("{a}", "{a} d/a.c e/b.tar.gz"), ("{1#}", "{1#} d/a.c e/b.tar.gz"),
], ids=str)
def test_places_of_several_sources(sf, word, becomes):
    if "{0}" in word:
        becomes += " d/a.c e/b.tar.gz"  # it is no place, so the fields are added
    assert sf.ok("map", "echo", word, ":::", "d/a.c", ":::", "e/b.tar.gz").decode() == becomes + "\n"


def test_a_place_for_all_is_an_argument_each(sf):
    assert sf.ok("map", "printf", "<%s>", "{}", ":::", "a b", ":::", "c").decode() == "<a b><c>"
    assert sf.ok("map", "printf", "<%s>", "{}x", ":::", "a b", ":::", "c").decode() == "<a b cx>"


def test_fields_are_quoted_for_the_shell(sf):
    nasty = "it's $HOME; `id` \\ \"x\" *"
    assert sf.ok("map", "--shell", "printf '<%s>' {2} {}", ":::", "a", ":::", nasty).decode() == "<%s><a><%s>" % (nasty, nasty)


def test_columns_of_a_line(sf, written):
    table = written("table", b"Ada,1815\nAlan\nGrace,1906,USA\n")
    assert lines(sf.ok("map", "--colsep", ",", "printf", "<%s>\\n", "{2}{1}", "::::", table)) == ["<1815Ada>", "<Alan>", "<1906Grace>"]
    assert lines(sf.ok("map", "--colsep", "\\t", "echo", "{2}", input=b"a\tb\n")) == ["b"]
    assert lines(sf.ok("map", "--colsep", ", ", "echo", "{-1}", ":::", "a, b, c")) == ["c"]


def test_slots_are_numbers_up_to_j(sf):
    seen = lines(sf.ok("map", "-j", "2", "echo", "{%}", ":::", *map(str, range(20))))
    assert set(seen) == {"1", "2"}
    assert b"-j" in sf.run("map", "echo", "{%}", ":::", "a").stderr


@pytest.mark.parametrize("args, told", [
    (["echo", ":::+", "a"], ":::+"), (["echo", "::::"], "behind ::::"), (["echo", "::::", "nosuch"], "nosuch"), (["::::", "x"], "in front of ::::"),
    (["--colsep", "", "echo", ":::", "a"], "--colsep"), (["--resume", "echo", ":::", "a"], "--joblog"),
    (["--halt", "later,fail=1", "echo", ":::", "a"], "later,fail=1"), (["--halt", "now,fail=0", "echo", ":::", "a"], "now,fail=0"),
    (["--halt", "now,fail=101%", "echo", ":::", "a"], "101%"), (["--halt", "now", "echo", ":::", "a"], "--halt"),
    (["--halt", "never,fail=1", "echo", ":::", "a"], "--halt"), (["echo", "{2}", ":::", "a"], "{2}: there is only 1 source"),
    (["echo", "{1}{3/}", ":::", "a", ":::", "b"], "{3}: there are only 2 sources"), (["echo", "{-3}", ":::", "a", ":::", "b"], "{-3}: there are only 2"),
    (["-j", "x", "echo", ":::", "a"], "-j"), (["-j", "+1%", "echo", ":::", "a"], "-j"), (["-N", "2", "echo", ":::", "a"], "--colsep"), (["-n", "2", "echo", ":::", "a"], "--name 2"),
    (["-n2", "echo", ":::", "a"], "--colsep"), (["--tagstring", "x", "echo", ":::", "a"], "--json"), (["--results", "d", "echo", ":::", "a"], "result ID -o"),
    (["-a", "/etc/passwd", "echo"], ":::: /etc/passwd"),
], ids=str)
def test_what_is_wrong_is_named_and_nothing_runs(sf, args, told):
    done = sf.run("map", *args)
    assert done.returncode == 2 and told in done.stderr.decode() and done.stdout == b""


def test_many_sources_in_json(sf):
    (line,) = sf.json("map", "echo", ":::", "a b", ":::", "c")
    assert line["item"] == ["a b", "c"] and line["value"]["stdout"] == "a b c\n"


def test_every_task_reads_the_file_of_stdin(sf, written):
    payload = written("payload", b"one\ntwo\n")
    assert sf.ok("map", "-i", payload, "sh", "-c", 'cat; echo "$0"', ":::", "a", "b") == b"one\ntwo\na\none\ntwo\nb\n"
    assert sf.ok("map", "-i", payload, "{}", ":::", "cat", input=b"not this") == b"one\ntwo\n"
    assert sf.ok("map", "-i", payload, "wc", "-l", input=b"-\n-\n") == b"2 -\n2 -\n"
    done = sf.run("map", "-i", "nosuch", "cat", ":::", "a")
    assert done.returncode == 1 and b"cannot read nosuch" in done.stderr


# A small queue

@pytest.mark.config(pools={"few": {"kind": "command", "workers": 1, "queue": 3}, "none": {"kind": "command", "workers": 1, "queue": 1}})
@pytest.mark.parametrize("pool, count", [("few", 6), ("few", 200), ("none", 40)])
def test_a_queue_that_is_smaller_than_the_map(fut, daemon, pool, count):
    words = [str(n) for n in range(count)]
    done = fut.run("map", "-p", pool, "echo", "{}", "{#}", input="\n".join(words).encode())
    assert done.returncode == 0 and done.stderr == b"" and lines(done.stdout) == ["%s %d" % (word, n + 1) for n, word in enumerate(words)]
    assert lines(fut.ok("map", "-p", pool, "--colsep", ",", "-j", "7", "echo", "{2}{1}", ":::", *["%d,x y" % n for n in range(20)])) == ["x y%d" % n for n in range(20)]


@pytest.mark.config(pools={"few": {"kind": "command", "workers": 1, "queue": 3}})
def test_a_small_queue_can_be_given_up(fut, daemon, client):
    done = fut.run("map", "-p", "few", "--halt", "now,fail=1", "sh", "-c", "exit $0", ":::", "1", *["0"] * 100)
    assert done.returncode == 1 and b"1 of" in done.stderr
    process = fut.start("map", "-p", "few", "sh", "-c", "echo $0; exec sleep 100", ":::", *map(str, range(100)))
    eventually(lambda: client.call("list", {"state": "RUNNING"}))
    process.send_signal(signal.SIGINT)
    assert process.wait(40) == 130 and not client.call("list", {"state": "RUNNING"}) and not client.call("list", {"state": "PENDING"})


# A dry run

def test_a_dry_run_prints_what_a_shell_would_take(sf):
    assert lines(sf.ok("map", "--dry-run", "cp", "{}", "/tmp/{/}", ":::", "it's", "a/b")) == ["cp 'it'\\''s' '/tmp/it'\\''s'", "cp a/b /tmp/b"]
    assert lines(sf.ok("map", "--dry-run", "--shell", "wc -l <{}", ":::", "a b")) == ["wc -l <'a b'"]


def test_a_dry_run_needs_no_daemon(tmp_path):
    assert Fut(str(tmp_path), str(tmp_path / "none.sock")).ok("map", "--dry-run", "rm", ":::", "x") == b"rm x\n"


# Giving up early

def test_halt_soon_lets_running_ones_finish(fut, daemon, gate):
    begun = fut.directory + "/begun"
    script = """case {} in
        bad) until [ -e %s ]; do sleep 0.01; done; exit 1;;
        slow) echo $$ >%s; : >%s; read x <%s;;
    esac; echo {}""" % (begun, gate.started, begun, gate.go)
    process = fut.start("map", "--halt", "soon,fail=1", "--shell", script, ":::", "slow", "bad", *map(str, range(100)))
    gate.await_start()
    fut.run("wait", "2")  # the bad one has failed
    gate.open()
    out, err = process.communicate(timeout=40)
    assert process.returncode == 1 and b"slow" in out and b"stopped early" in err
    assert len(out.splitlines()) < 50


def test_halt_now_kills_running_ones(fut, daemon, client):
    done = fut.run("map", "--halt", "now,fail=1", "sh", "-c", "[ {} = bad ] && exit 3; exec sleep 100", ":::", "x", "bad", "y", "z")
    assert done.returncode == 1 and b"1 of 1 failed" in done.stderr and b"1 of 4 items" in done.stderr
    assert not client.call("list", {"state": "RUNNING"}) and not client.call("list", {"state": "PENDING"})


def test_halt_with_the_first_success_is_no_failure(fut, daemon):
    done = fut.run("map", "--halt", "now,success=1", "sh", "-c", "[ {} = ok ] && { echo found; exit; }; [ {} = bad ] && exit 1; exec sleep 100",
                   ":::", "bad", "ok", "x", "y")
    assert done.returncode == 0 and done.stdout == b"found\n"


@pytest.mark.parametrize("halt, most", [("soon,fail=2", 2), ("soon,fail=50%", 3), ("soon,done=3", 3), ("never", 6)])
def test_halt_counts(fut, daemon, halt, most):
    log = fut.directory + "/log"
    done = fut.run("map", "-j", "1", "--halt", halt, "--joblog", log, "false", ":::", *"123456")
    assert done.returncode == 1
    assert len(open(log).readlines()) == 1 + most


# The joblog

HEAD = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"


def rows(path):
    with open(path) as f:
        assert f.readline() == HEAD
        return {int(row[0]): row for row in (line.rstrip("\n").split("\t") for line in f)}


def test_joblog_tells_what_ran(sf):
    log = sf.directory + "/told"
    sf.run("map", "--joblog", log, "--shell", "echo {}; exit {}", ":::", "0", "7")
    sf.run("map", "--joblog", log + "2", "--shell", "kill -9 $$ {}", ":::", "x")
    told = rows(log)
    assert [told[n][6:] for n in (1, 2)] == [["0", "0", "echo '0'; exit '0'"], ["7", "0", "echo '7'; exit '7'"]]
    assert told[1][1] == "shell" and told[1][5] == "2"
    assert 1.7e9 < float(told[1][2]) < 4e9 and 0 <= float(told[1][3]) < 20
    assert rows(log + "2")[1][6:8] == ["0", "9"]


def test_a_line_of_the_joblog_is_a_line(sf):
    log = sf.directory + "/lines"
    sf.ok("map", "-0", "--joblog", log, "echo", input=b"a\nb\tc\0")
    assert rows(log)[1][8:] == ["echo 'a\\nb\\tc'"]


def test_resume_runs_what_is_missing_or_failed(sf, written):
    log = sf.directory + "/resumed"
    flag = sf.directory + "/flag"
    script = "echo {}; [ {} != 2 ] || [ -e %s ]" % flag
    assert sf.run("map", "--joblog", log, "--shell", script, ":::", "1", "2", "3").returncode == 1
    open(flag, "w").close()
    done = sf.run("map", "--joblog", log, "--resume", "--shell", script, ":::", "1", "2", "3", "4")
    assert done.returncode == 0 and lines(done.stdout) == ["2", "4"]
    again = sf.run("map", "--joblog", log, "--resume", "--shell", script, ":::", "1", "2", "3", "4")
    assert again.returncode == 0 and again.stdout == b""


def test_resume_cuts_off_a_line_that_was_being_written(sf):
    log = sf.directory + "/torn"
    sf.ok("map", "--joblog", log, "echo", ":::", "1", "2")
    with open(log, "a") as f:
        f.write("3\tshell\t17")
    assert sf.ok("map", "--joblog", log, "--resume", "echo", ":::", "1", "2", "3") == b"3\n"
    assert sorted(rows(log)) == [1, 2, 3]


def test_resume_refuses_another_command(sf, written):
    log = sf.directory + "/other"
    sf.ok("map", "--joblog", log, "echo", ":::", "1")
    done = sf.run("map", "--joblog", log, "--resume", "printf", ":::", "1")
    assert done.returncode == 2 and b"'echo 1'" in done.stderr and done.stdout == b""
    other = written("notes", b"dear diary\nno tabs here\n")
    assert sf.run("map", "--joblog", other, "--resume", "echo", ":::", "1").returncode == 1
    assert open(other).read().startswith("dear diary")


def test_without_resume_the_joblog_begins_anew(sf):
    log = sf.directory + "/anew"
    for _ in range(2):
        sf.ok("map", "--joblog", log, "echo", ":::", "1")
    assert sorted(rows(log)) == [1]


def test_a_joblog_that_cannot_be_written_is_told(sf):
    done = sf.run("map", "--joblog", "/nosuch/dir/log", "echo", ":::", "1")
    assert done.returncode == 1 and b"cannot write the joblog /nosuch/dir/log: No such file" in done.stderr and done.stdout == b""
    full = sf.run("map", "--joblog", "/dev/full", "echo", ":::", "1")
    assert full.returncode == 1 and b"/dev/full" in full.stderr


def test_json_lines_go_with_a_joblog(sf):
    log = sf.directory + "/json"
    done = sf.run("--json", "map", "--joblog", log, "echo", ":::", "1", "2")
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == [0, 0] and sorted(rows(log)) == [1, 2]
