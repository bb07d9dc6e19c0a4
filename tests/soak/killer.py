"""The killer: ends the daemon, hosts or tasks with SIGKILL at moments that a seed decides, and says which."""
import os
import signal
import time

import helpers

HOSTS_IN_10_S = 3     # a pool whose hosts die five times in ten seconds is broken, rightly


def ended(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
        return True
    except ProcessLookupError:
        return False


class Killer:
    def __init__(self, rng, daemon, book, daemons=True):
        self.rng, self.daemon, self.book, self.daemons = rng, daemon, book, daemons
        self.hosts_killed = []
        self.counts = {}

    def _hosts(self):
        return [pid for pid in helpers.children(self.daemon.pid) if helpers.is_alive(pid)]

    def _tasks(self):
        hosts = self._hosts()
        return [pid for host in hosts for pid in self._children(host)]

    @staticmethod
    def _children(pid):
        try:
            return helpers.children(pid)
        except (FileNotFoundError, ProcessLookupError):
            return []

    def strike(self):
        """One kill; returns what it was: 'daemon' and 'all' end the daemon. Waits until there is somebody to kill."""
        self.book.kill_begins()
        what = self._strike()
        while what == "nobody":
            time.sleep(0.01)
            what = self._strike()
        self.book.kill_is_over()
        self.counts[what] = self.counts.get(what, 0) + 1
        return what

    def _strike(self):
        what = self.rng.choices(["daemon", "all", "host", "task"], [12, 3, 2, 3] if self.daemons else [0, 0, 2, 8])[0]
        now = time.monotonic()
        self.hosts_killed = [t for t in self.hosts_killed if now - t < 10]
        if what == "host" and len(self.hosts_killed) >= HOSTS_IN_10_S:
            what = "task"
        victims = {"host": self._hosts, "task": self._tasks}.get(what, list)()
        if what == "daemon":
            self.daemon.process.kill()
        elif what == "all":
            hosts = self._hosts()
            self.daemon.process.kill()
            for pid in hosts:
                ended(pid)
        elif victims and ended(self.rng.choice(victims)):
            if what == "host":
                self.hosts_killed.append(now)
        else:
            return "nobody"
        return what
