"""`make setup`, on machines that are made of stubs."""
import os
import re
import subprocess

import pytest

import helpers

SETUP = os.path.join(helpers.ROOT, "scripts", "setup")
with open(SETUP) as script:
    PACKAGES = re.search(r'packages="(.*?)"', script.read(), re.S).group(1).split()


class Machine:
    """A PATH of stubs that write down how they were called."""

    def __init__(self, directory, uid, packages):
        self.bin, self.calls = directory / "bin", directory / "calls"
        self.bin.mkdir()
        self.calls.write_text("")
        self.add("dpkg-query", "printf '%s' '" + "".join("<%s installed>" % p for p in packages) + "'")
        self.add("id", "echo %d" % uid)
        os.symlink("/bin/sh", self.bin / "sh")
        os.symlink("/usr/bin/env", self.bin / "env")

    def add(self, name, body):
        stub = self.bin / name
        stub.write_text('#!/bin/sh\necho "%s $*" >>%s\n%s\n' % (name, self.calls, body))
        stub.chmod(0o755)

    def setup(self, *arguments):
        return subprocess.run(["/bin/sh", SETUP, *arguments], env={"PATH": str(self.bin)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=20)

    def called(self, name):
        return [line for line in self.calls.read_text().splitlines() if line.split()[0] == name]


@pytest.fixture
def machine(tmp_path):
    return lambda uid, missing=(): Machine(tmp_path, uid, [p for p in PACKAGES if p not in missing])


def test_with_everything_there_it_asks_once_and_does_nothing(machine):
    m = machine(1000)
    done = m.setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(m.calls.read_text().splitlines()) == 1


def test_root_installs_what_is_missing_and_only_that(machine):
    m = machine(0, ["libyaml-dev", "gcc"])
    m.add("apt-get", "")
    done = m.setup()
    assert done.returncode == 0, done.stderr
    update, install = m.called("apt-get")
    assert update.split()[-1] == "update"
    assert install.endswith("install -y --no-install-recommends gcc libyaml-dev")


def test_sudo_is_used_where_it_asks_for_nothing(machine):
    m = machine(1000, ["make"])
    m.add("apt-get", "")
    m.add("sudo", '[ "$1" = -n ] && exit 0; exec "$@"')
    assert m.setup().returncode == 0
    assert m.called("apt-get")[-1].endswith(" make")


@pytest.mark.parametrize("sudo", [None, "exit 1"], ids=["no sudo", "sudo wants a password"])
def test_without_root_it_names_the_packages_and_fails(machine, sudo):
    m = machine(1000, ["libmsgpack-dev", "uthash-dev"])
    m.add("apt-get", "")
    if sudo:
        m.add("sudo", sudo)
    done = m.setup()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "setup: as root: apt-get install --no-install-recommends libmsgpack-dev uthash-dev"
    assert m.called("apt-get") == []


def test_without_apt_it_names_the_packages_and_fails(machine):
    done = machine(0, ["mandoc"]).setup()
    assert done.returncode == 1
    assert "no apt-get" in done.stderr and done.stderr.rstrip().endswith(" mandoc")


def test_an_installation_that_fails_is_told(machine):
    m = machine(0, ["mandoc"])
    m.add("apt-get", 'case $* in *install*) echo "E: broken" >&2; exit 100;; esac')
    done = m.setup()
    assert done.returncode == 1
    assert "E: broken" in done.stderr and done.stderr.rstrip().endswith(" mandoc")


def test_an_update_that_fails_does_not_matter_when_the_packages_can_be_had(machine):
    m = machine(0, ["mandoc"])
    m.add("apt-get", 'case $* in *update*) exit 100;; esac')
    assert m.setup().returncode == 0


def test_what_only_check_all_uses_is_installed_for_it_alone(machine):
    m = machine(0)
    m.add("apt-get", "")
    assert m.setup().returncode == 0 and m.called("apt-get") == []
    assert m.setup("all").returncode == 0
    assert "valgrind" in m.called("apt-get")[-1] and "libevent-dev" not in m.called("apt-get")[-1]
