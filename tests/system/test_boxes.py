"""What a pool's settings allow its tasks: limits, nice, umask, no_new_privs. A task may ask for less, never for more."""
import os

import pytest

from conftest import yaml
from helpers import refused, sh

MIB = 1 << 20

CONFIG = {"pools": {
    "strict": {"kind": "command", "workers": 1, "umask": "027", "nice": 3, "no_new_privs": True,
               "limits": {"files": 200, "core": 0, "cpu": "100s", "file_size": "1MiB", "stack": "4MiB"}},
    "small": {"kind": "command", "workers": 1, "limits": {"memory": "300MiB"}},
}}

SAY = "umask; nice; ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -St; ulimit -Sf; ulimit -Ss; grep NoNewPrivs /proc/self/status | cut -f2"


def said(client, pool, **options):
    return client.call("call", pool, *sh(SAY), options)["stdout"].decode().split()


# ---- limits of each process, nice, umask, no_new_privs ----

def test_a_pools_settings_hold_for_its_tasks(shared):
    assert said(shared, "strict") == ["0027", "3", "200", "200", "0", "100", "2048", "4096", "1"]


def test_other_pools_have_none_of_them(shared):
    """The positive control: the same task where nothing is set."""
    found = said(shared, "shell")
    assert found[:3] == ["0022", "0", "1024"] and found[-1] == "0" and found[5] == "unlimited"


def test_a_task_may_ask_for_less(shared):
    asked = {"limits": {"files": 100, "cpu": 5, "file_size": 512}, "nice": 7, "umask": 0o077}
    assert said(shared, "strict", **asked) == ["0077", "7", "100", "100", "0", "5", "1", "4096", "1"]


def test_a_task_gets_exactly_what_the_pool_has_if_it_asks_for_that(shared):
    asked = {"limits": {"files": 200, "core": 0, "cpu": 100, "file_size": MIB, "stack": 4 * MIB}, "nice": 3, "umask": 0o027}
    assert said(shared, "strict", **asked) == said(shared, "strict")


@pytest.mark.parametrize("limit,bound,beyond", [("files", 200, 201), ("core", 0, 1), ("cpu", 100, 101), ("file_size", MIB, MIB + 1),
                                                ("stack", 4 * MIB, 4 * MIB + 1)])
def test_a_task_that_asks_for_more_is_refused_with_the_bound(shared, limit, bound, beyond):
    error = refused("PermissionError", shared.call, "submit", "strict", "true", [], {"limits": {limit: beyond}})
    assert "limits." + limit in error["message"] and str(bound) in error["message"] and str(beyond) in error["message"]
    assert "strict" in error["message"]


def test_a_task_cannot_ask_for_a_better_place_than_its_pool(shared):
    assert "nice" in refused("PermissionError", shared.call, "submit", "strict", "true", [], {"nice": 2})["message"]
    refused("PermissionError", shared.call, "submit", "shell", "true", [], {"nice": -1})


def test_the_pools_umask_is_added_to_the_tasks(shared):
    assert said(shared, "strict", umask=0)[0] == "0027"
    assert said(shared, "strict", umask=0o100)[0] == "0127"
    assert said(shared, "shell", umask=0)[0] == "0000"


def test_map_and_call_are_held_to_it_too(shared):
    refused("PermissionError", shared.call, "call", "strict", "true", [], {"limits": {"files": 300}})
    refused("PermissionError", shared.call, "map", "strict", "true", [[], []], {"limits": {"files": 300}})


def test_a_task_cannot_raise_what_it_was_given(shared):
    script = "ulimit -n 201 2>/dev/null && echo raised; ulimit -Hc 1 2>/dev/null && echo raised; echo end"
    if os.geteuid() == 0:
        script = "setpriv --reuid 65534 --clear-groups sh -c '%s'" % script
    assert shared.call("call", "strict", *sh(script))["stdout"] == b"end\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a set-user-ID program")
def test_no_new_privs_takes_the_effect_from_set_user_id_programs(daemon, client):
    """The positive control is the pool without it, where the same program becomes another user."""
    program = daemon.path("whoami")
    os.chmod(daemon.directory, 0o755)
    with open("/usr/bin/id", "rb") as f, open(program, "wb") as to:
        to.write(f.read())
    os.chown(program, 65534, 65534)
    os.chmod(program, 0o4755)
    assert client.call("call", "shell", program, ["-u"])["stdout"] == b"65534\n"
    assert client.call("call", "strict", program, ["-u"])["stdout"] == b"0\n"


def test_a_reload_that_tightens_a_pool_holds_for_the_next_submit(daemon, client):
    """A connection keeps what it last read for the next submit: that must not outlive the settings."""
    def submit():
        return client.call("call", "shell", *sh("ulimit -n"), {"limits": {"files": 500}})["stdout"]
    assert submit() == submit() == b"500\n"
    pools = {**daemon.config["pools"], "shell": {"kind": "command", "workers": 2, "umask": "077", "limits": {"files": 400}}}
    with open(daemon.config_path, "w") as f:
        for key, value in {**daemon.config, "pools": pools}.items():
            f.write("%s: %s\n" % (key, yaml(value)))
    client.call("reload")
    refused("PermissionError", submit)
    assert client.call("call", "shell", *sh("ulimit -n; umask"))["stdout"] == b"400\n0077\n"


def test_what_cannot_be_held_is_refused(shared):
    assert "cgroup" in refused("UnsupportedError", shared.call, "submit", "shell", "true", [], {"limits": {"cpus": 1}})["message"]


@pytest.mark.parametrize("cpus", [0, -1, 0.001, 5000, "1", True, None, [1]], ids=repr)
def test_cpus_of_a_wrong_shape_is_a_value_error(shared, cpus):
    assert "limits.cpus" in refused("ValueError", shared.call, "submit", "shell", "true", [], {"limits": {"cpus": cpus}})["message"]


def test_a_pool_of_python_processes_is_held_to_its_limits(launch):
    daemon = launch({"pools": {"py": {"kind": "process", "runtime": "python", "workers": 1, "umask": "077", "nice": 4, "no_new_privs": True,
                                      "limits": {"files": 100, "core": 0}}}})
    client = daemon.client()
    assert client.call("call", "py", "resource.getrlimit", [7]) == [100, 100]
    assert client.call("call", "py", "resource.getrlimit", [4]) == [0, 0]
    assert client.call("call", "py", "os.umask", [0o077]) == 0o077
    assert client.call("call", "py", "os.nice", [0]) == 4
