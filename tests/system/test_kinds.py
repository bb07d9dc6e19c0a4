"""examples/demo.yaml serves a pool of each kind: fut call works on each."""
import os
import re
import subprocess

import pytest

from helpers import BUILD, ROOT, eventually

FUT, FUTURED = (os.path.join(BUILD, "bin", name) for name in ("fut", "futured"))


@pytest.fixture
def fut(tmp_path):
    """Runs fut against a daemon with the example's configuration; yields its output."""
    with open(os.path.join(ROOT, "examples", "demo.yaml")) as f:
        text = f.read().replace("../build/", BUILD + "/").replace("lua/tasks", ROOT + "/examples/lua/tasks")
    config, address = tmp_path / "demo.yaml", "unix:%s/s" % tmp_path
    config.write_text("listen: [%s]\nstore: memory\n%s" % (address, text))
    config.chmod(0o600)
    with open(tmp_path / "log", "w") as log:
        daemon = subprocess.Popen([FUTURED, "-c", str(config)], stderr=log, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path),
                                                                              "XDG_RUNTIME_DIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)})

    def fut(*words):
        done = subprocess.run([FUT, "-a", address, *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout
    eventually(lambda: os.path.exists("%s/s" % tmp_path), what="futured listens")
    yield fut
    daemon.terminate()
    assert daemon.wait(40) == 0


def test_fut_call_works_on_each_kind(fut):
    shown = {line.split()[0]: line.split() for line in fut("pool", "ls").splitlines()}
    for pool, kind in [("shell", "command"), ("io", "thread"), ("cpu", "process"), ("lua", "interpreter")]:
        assert shown[pool][1].startswith(kind)
    for pool in "io", "cpu", "lua":
        assert fut("call", pool, "count_primes", "1000").strip() == "168"
        assert "lines" in fut("call", pool, "count_words", os.path.join(ROOT, "Makefile"))
    assert "hello" in fut("call", "shell", "echo", "hello")


@pytest.mark.long
def test_the_script_measures_each_kind():
    done = subprocess.run([os.path.join(ROOT, "scripts", "kinds")], capture_output=True, text=True, timeout=120)
    rows = [line for line in done.stdout.splitlines() if re.match(r"\| `(io|cpu|lua)` .* [0-9.]+ s \| [0-9.]+ s \|$", line)]
    assert done.returncode == 0 and len(rows) == 3, done.stdout + done.stderr
