"""A machine that is booted for a test: systemd as process 1 of namespaces of its own, over our own root file system with a directory on top.

Nothing of it outlives the test, and nothing of this machine is changed: what is written goes to a tmpfs, the network is a loopback of its own, /sys and
/proc/sys are read-only, and the cgroups are a branch of their own. It needs root, cgroup v2 (beside v1 will do) and a kernel that stacks file systems;
where one is missing `start` raises Unable, which says what."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

SYSTEMD = "/lib/systemd/systemd"
NAMESPACES = ["--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup"]

# $1: our directory, $2: what lies over /. Runs as process 1 of the new namespaces.
INIT = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=0755 machine "$1"
mkdir "$1/top" "$1/work" "$1/root"
cp -a "$2/." "$1/top"
mount -t overlay -o "lowerdir=/,upperdir=$1/top,workdir=$1/work" machine "$1/root"
cd "$1/root"
mount -t tmpfs -o mode=0755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=0755 dev dev
for node in null zero full random urandom tty; do
	: >dev/$node
	mount --bind /dev/$node dev/$node
done
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t devpts -o newinstance,mode=0620,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
ip link set lo up
mkdir before
pivot_root . before
umount -l /before
rmdir /before
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin """ + SYSTEMD + r""" --system --log-target=journal --unit=sockets.target
"""


class Unable(Exception):
    """This machine cannot boot another; the text says why."""


def cgroup_root():
    """Where cgroup v2 is mounted; None: nowhere."""
    with open("/proc/self/mountinfo") as f:
        for line in f:
            before, _, after = line.partition(" - ")
            if after.startswith("cgroup2 "):
                return before.split()[4]
    return None


class Machine:
    def __init__(self, over):
        """What the directory `over` holds lies over /."""
        self.over = str(over)
        self.directory = tempfile.mkdtemp(prefix="futured-machine-")
        self.cgroup = None
        self.starter = None
        self.init = None

    def start(self, timeout=60):
        if os.geteuid() != 0:
            raise Unable("only root can boot a machine")
        for program in (SYSTEMD, "unshare", "nsenter", "pivot_root", "ip", "systemctl"):
            if not shutil.which(program):
                raise Unable("there is no %s" % program)
        root = cgroup_root()
        if root is None:
            raise Unable("cgroup v2 is not mounted")
        self.cgroup = os.path.join(root, os.path.basename(self.directory))
        try:
            os.mkdir(self.cgroup)
        except OSError as error:
            self.cgroup = None
            raise Unable("no cgroup can be made: %s" % error) from None
        script = os.path.join(self.directory, "init")
        with open(script, "w") as f:
            f.write(INIT)
        root_directory = os.path.join(self.directory, "machine")
        os.mkdir(root_directory)
        self.log = open(os.path.join(self.directory, "log"), "w+b")
        procs = os.path.join(self.cgroup, "cgroup.procs")

        def enter():
            with open(procs, "w") as f:
                f.write("0")
        self.starter = subprocess.Popen(["unshare", *NAMESPACES, "--fork", "--kill-child=KILL", "sh", script, root_directory, self.over],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True, preexec_fn=enter)
        until = time.monotonic() + timeout
        while not self.is_up():
            if self.starter.poll() is not None or time.monotonic() > until:
                self.log.seek(0)
                raise Unable("it does not boot: %s" % (self.log.read().decode(errors="replace").strip() or "no reason is given"))
            time.sleep(0.05)

    def is_up(self):
        if self.init is None:
            with open("/proc/%d/task/%d/children" % (self.starter.pid, self.starter.pid)) as f:
                children = f.read().split()
            if not children:
                return False
            self.init = int(children[0])
        try:
            if os.path.basename(os.readlink("/proc/%d/exe" % self.init)) != "systemd":
                return False
        except OSError:
            return False
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def command(self, *argv):
        """What runs argv in the machine."""
        return ["nsenter", "-t", str(self.init), "-a", "-r", "-w", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", *argv]

    def run(self, *argv, check=True, timeout=60, **keys):
        """A command in the machine, to its end."""
        done = subprocess.run(self.command(*argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="replace", timeout=timeout, **keys)
        assert not check or done.returncode == 0, "%s: status %d\n%s%s" % (argv, done.returncode, done.stdout, done.stderr)
        return done

    def popen(self, *argv, **keys):
        return subprocess.Popen(self.command(*argv), stdin=subprocess.DEVNULL, **keys)

    def stop(self):
        if self.starter is not None and self.starter.poll() is None:
            if self.init is not None:
                os.kill(self.init, signal.SIGKILL)  # process 1: all the others go with it
            self.starter.kill()
            self.starter.wait()
        self._remove_cgroups()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _remove_cgroups(self):
        until = time.monotonic() + 10
        while self.cgroup and os.path.isdir(self.cgroup) and time.monotonic() < until:
            for where, _, _ in os.walk(self.cgroup, topdown=False):
                try:
                    os.rmdir(where)
                except OSError:
                    time.sleep(0.02)
