"""`make install`, and what a stranger does with what it installed."""
import os
import subprocess

import pytest

import cli_helper
import helpers

HELLO = r"""
#include <futured.h>
#include <stdio.h>

int
main(void)
{
	puts(futured_status_name(FUTURED_OK));
	return 0;
}
"""


def make(*arguments):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    subprocess.run(["make", "-s", "-C", helpers.ROOT, "B=" + os.path.relpath(helpers.BUILD, helpers.ROOT), *arguments], env=env,
                   check=True, stdout=subprocess.PIPE)


def files_below(directory):
    return {os.path.relpath(os.path.join(where, name), directory) for where, _, names in os.walk(directory) for name in names}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("installed")
    make("install", "PREFIX=%s" % prefix)
    return str(prefix)


@pytest.fixture
def fut(installed, tmp_path):
    """Runs the installed fut, which may start the installed daemon."""
    env = cli_helper.environment(str(tmp_path), FUTURED_NO_START=None, PATH="/usr/bin:/bin")

    def run(*arguments):
        return subprocess.run([installed + "/bin/fut", *arguments], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=20)
    yield run
    run("daemon", "stop", "--no-start")


def test_everything_is_where_it_belongs(installed):
    there = files_below(installed)
    assert {"bin/futured", "bin/fut", "libexec/futured-worker", "lib/libfutured.a", "include/futured.h", "include/futured_task.h",
            "lib/futured/modules/work.so", "lib/futured/modules/fetch.so", "share/man/man8/futured.8", "share/man/man1/fut.1",
            "share/man/man5/futured.yaml.5", "share/man/man7/futured-task.7", "share/man/man7/futured-protocol.7", "share/doc/futured/futured.yaml",
            "share/doc/futured/README.md", "share/doc/futured/PROTOCOL.md", "share/doc/futured/examples/lua/tasks.lua",
            "share/bash-completion/completions/fut", "share/zsh/site-functions/_fut", "share/fish/vendor_completions.d/fut.fish"} <= there
    assert not [name for name in there if "/testing.so" in name or name.endswith((".o", ".d", ".pyc"))]
    assert os.access(installed + "/share/doc/futured/futured.yaml", os.R_OK)


def test_destdir_is_put_before_the_same_files(installed, tmp_path):
    make("install", "PREFIX=/opt/futured", "DESTDIR=%s" % tmp_path)
    assert files_below(tmp_path / "opt/futured") == files_below(installed)
    demo = (tmp_path / "opt/futured/share/doc/futured/examples/demo.yaml").read_text()
    assert "/opt/futured/lib/futured/modules/work.so" in demo
    assert str(tmp_path) not in demo


def test_the_installed_fut_starts_the_installed_daemon(fut, installed):
    done = fut("run", "--", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr
    ours = [pid for pid in helpers.all_processes() if executable(pid).startswith(installed + "/")]
    assert {os.path.basename(executable(pid)) for pid in ours} == {"futured", "futured-worker"}
    assert fut("daemon", "stop").returncode == 0
    helpers.eventually(lambda: not any(helpers.is_alive(pid) for pid in ours), 5, "daemon and workers end")


def executable(pid):
    try:
        return os.readlink("/proc/%d/exe" % pid)
    except OSError:
        return ""


@pytest.mark.parametrize("pool", ["io", "cpu", "lua"])
def test_the_installed_example_configuration_works(fut, installed, tmp_path, pool):
    config = installed + "/share/doc/futured/examples/demo.yaml"
    log = open(tmp_path / "log", "wb")
    daemon = subprocess.Popen([installed + "/bin/futured", "-c", config], env=cli_helper.environment(str(tmp_path)), stderr=log)
    try:
        helpers.eventually(lambda: fut("daemon", "ping", "--no-start").returncode == 0, 10, "futured answers")
        done = fut("call", "--no-start", pool, "add", "2", "3")
        assert (done.returncode, done.stdout) == (0, b"5\n"), done.stderr
    finally:
        daemon.terminate()
        assert daemon.wait(40) == 0


def test_a_task_module_builds_against_the_installed_header(installed, tmp_path):
    source = installed + "/share/doc/futured/examples/modules/work.c"
    subprocess.run(["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-I", installed + "/include", "-o", tmp_path / "work.so", source], check=True)


def test_a_client_builds_against_the_installed_library(installed, tmp_path):
    (tmp_path / "hello.c").write_text(HELLO)
    sanitizers = os.path.basename(helpers.BUILD).partition("build-")[2].replace("-", ",")
    subprocess.run(["gcc", "-Wall", "-Werror", *(["-fsanitize=" + sanitizers] if sanitizers else []), "-I", installed + "/include", "-o",
                    tmp_path / "hello", tmp_path / "hello.c", installed + "/lib/libfutured.a", "-lmsgpackc", "-pthread"], check=True)
    assert subprocess.run([tmp_path / "hello"], stdout=subprocess.PIPE, check=True).stdout != b""
