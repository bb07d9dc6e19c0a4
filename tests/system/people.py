"""Several users of one daemon, for tests that run as root: a daemon that runs as a user of its own, and connections as others.

The kernel says who a peer is when it connects, from the ids that the connecting process has just then, so one process can be everybody."""
import contextlib
import os

import pytest

import rpc

DAEMON, ANN, BOB, MONITOR, BOSS = 12000, 12001, 12002, 12003, 12004  # nobody in /etc/passwd needs to know them
STAFF, GUESTS = 12100, 12101

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")

SHARED = {"socket_mode": "0666", "shared_uid": True, "admins": [BOSS], "read_only": [MONITOR]}


@contextlib.contextmanager
def acting_as(uid, groups=()):
    """The process has these ids meanwhile. Its first group is its own number, as on Debian."""
    before = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def connect(daemon, uid, groups=()):
    with acting_as(uid, groups):
        client = rpc.Client(daemon.address)
    daemon.clients.append(client)
    return client


def launch_shared(launch, *layers, uid=DAEMON, **keys):
    """A daemon that runs as `uid` and that everybody can connect to."""
    daemon = launch(SHARED, *layers, start=False, **keys)

    def become():
        os.chown(daemon.directory, uid, uid)
        os.chown(daemon.config_path, uid, uid)
        os.chmod(daemon.directory, 0o755)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    daemon.preexec = become
    return daemon.start()
