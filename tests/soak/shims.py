"""What is preloaded into a daemon (shim_*.c), and the page through which a test tells it what to do."""
import mmap
import os
import struct

import pytest

from helpers import BUILD, is_sanitized

FIELDS = {
    "malloc": ("left", "count", "failed"),
    "clock": ("wrong_us",),
    "disk": ("fail", "error", "skip", "times", "delay_us", "number", "recording", "syncs"),
}
OPEN, WRITE, SYNC, TRUNCATE, UNLINK, READ = 1, 2, 4, 8, 16, 32


class Shim:
    """Attributes are the page's fields; `env` is what the daemon is started with."""

    def __init__(self, kind, directory, **env):
        if is_sanitized(os.path.join(BUILD, "bin", "futured")):
            pytest.skip("a sanitizer wants to be preloaded first")
        path = os.path.join(directory, "shim." + kind)
        with open(path, "wb") as f:
            f.truncate(4096)
        with open(path, "r+b") as f:
            page = mmap.mmap(f.fileno(), 4096)
        object.__setattr__(self, "page", page)
        object.__setattr__(self, "fields", FIELDS[kind])
        object.__setattr__(self, "env", {"LD_PRELOAD": os.path.join(BUILD, "tests", "shim_%s.so" % kind), "FUTURED_SHIM": path, **env})

    def __getattr__(self, name):
        return struct.unpack_from("q", self.page, 8 * self.fields.index(name))[0]

    def __setattr__(self, name, value):
        struct.pack_into("q", self.page, 8 * self.fields.index(name), value)


def disk(directory, prefix, record=None):
    """A shim for the files whose path begins with the prefix."""
    env = {"FUTURED_SHIM_DISK": prefix}
    if record:
        env["FUTURED_SHIM_RECORD"] = record
    return Shim("disk", directory, **env)


def fail(shim, operations, error, times=-1, skip=0):
    """From now on, after `skip` of them, `times` of these operations fail."""
    shim.fail = 0
    shim.error, shim.skip, shim.times = error, skip, times
    shim.fail = operations


def heal(shim):
    shim.fail = 0
