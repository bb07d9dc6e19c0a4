"""`make demo`, once everything is built."""
import os
import signal
import subprocess

import pytest

import cli_helper
import helpers

DEMO = os.path.join(helpers.ROOT, "scripts", "demo")


@pytest.fixture
def surroundings(tmp_path):
    """An environment with a mark, to find what the demo leaves; and the directories of a user who has a daemon of his own."""
    run, tmp = tmp_path / "run", tmp_path / "tmp"
    run.mkdir()
    tmp.mkdir()
    mark = "demo-%d-%s" % (os.getpid(), tmp_path.name)
    env = cli_helper.environment(str(run), TMPDIR=str(tmp), MARK=mark, FUTURED_BUILD=os.path.relpath(helpers.BUILD, helpers.ROOT),
                                 FUTURED_ADDRESS="unix:%s/of-the-user.sock" % run)
    yield env
    helpers.eventually(lambda: not helpers.marked(mark), 5, "the demo's processes are gone")
    assert os.listdir(tmp) == []
    assert os.listdir(run) == []


@pytest.mark.long
def test_the_demo_works_in_a_terminal_and_leaves_nothing(surroundings):
    terminal = cli_helper.Terminal([DEMO], surroundings, helpers.ROOT)
    status = terminal.wait(60)
    screen = terminal.plain().decode()
    assert status == 0, screen
    assert "$ fut pool ls\r\n" in screen
    assert "━" in screen, "no progress bar"
    assert "not in gzip format" in screen
    assert "was cancelled" in screen
    for pool in "shell", "io", "cpu", "lua":
        assert "\n%s " % pool in screen


def test_an_interrupted_demo_leaves_nothing(surroundings):
    process = subprocess.Popen([DEMO], env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        if line.startswith(b"$ fut pool ls"):
            process.send_signal(signal.SIGTERM)
            break
    process.communicate(timeout=30)
    assert process.returncode == 143


def test_without_programs_the_demo_fails(surroundings):
    done = subprocess.run([DEMO], env={**surroundings, "FUTURED_BUILD": "build-of-nothing"}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    assert done.returncode == 1
    assert b"futured does not answer" in done.stderr


def test_the_readme_tells_what_the_demo_shows(surroundings):
    done = subprocess.run([os.path.join(helpers.ROOT, "scripts", "tour"), "--check"], env=surroundings, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90)
    assert done.returncode == 0, done.stderr.decode()
