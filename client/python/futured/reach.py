"""Finding the daemon, and starting the user's own where none answers: the same places and the same rules as `fut`."""
import fcntl
import os
import shutil
import socket
import stat
import subprocess
import time

SYSTEM = "/run/futured/futured.sock"
WAIT = 15  # seconds for a daemon that was started to answer


def own_directory():
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return os.path.join(runtime, "futured") if runtime.startswith("/") else "/tmp/futured-%d" % os.getuid()


def is_private(directory):
    try:
        st = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(st.st_mode) and st.st_uid == os.getuid() and not st.st_mode & 0o077


def connect(address):
    kind, _, place = address.partition(":")
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(place)
        except OSError:
            sock.close()
            raise
        return sock
    if kind in ("tcp", "tls"):
        host, _, port = place.rpartition(":")
        host = host.strip("[]")
        sock = socket.create_connection((host, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if kind == "tcp":
            return sock
        from futured.tls import connect_tls
        try:
            return connect_tls(sock, host)
        except BaseException:
            sock.close()
            raise
    raise ValueError("%s: expected unix:PATH, tcp:HOST:PORT or tls:HOST:PORT" % address)


def reach(address):
    """A connected socket, and where it leads."""
    if address is not None:
        return connect(address), address
    directory = own_directory()
    own = "unix:" + os.path.join(directory, "futured.sock")
    places = ([own] if is_private(directory) else []) + ["unix:" + SYSTEM]
    for place in places:
        try:
            return connect(place), place
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            pass
    if os.environ.get("FUTURED_NO_START") == "1":
        raise ConnectionRefusedError("no daemon answers, and FUTURED_NO_START forbids to start one")
    return start(directory, own), own


def program():
    """futured beside this package, in the build tree or where it is installed; else from PATH."""
    here = os.path.dirname(os.path.abspath(__file__))
    for place in "../../../build/bin/futured", "../../../../bin/futured":
        path = os.path.normpath(os.path.join(here, place))
        if os.access(path, os.X_OK):
            return path
    path = shutil.which("futured")
    if path is None:
        raise FileNotFoundError("cannot start a daemon: futured is neither beside %s nor in PATH" % here)
    return path


def open_log():
    state = os.environ.get("XDG_STATE_HOME", "")
    state = state if state.startswith("/") else os.path.expanduser("~/.local/state")
    try:
        os.makedirs(os.path.join(state, "futured"), 0o700, exist_ok=True)
        return os.open(os.path.join(state, "futured", "daemon.log"), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_RDWR)


def start(directory, own):
    """One daemon, though many start at once: whoever gets the lock looks again first."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    if not is_private(directory):
        raise PermissionError("%s is not a directory that belongs to you alone, so no daemon is started there" % directory)
    lock = os.open(os.path.join(directory, "start.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return connect(own)
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        log = open_log()
        begin = os.lseek(log, 0, os.SEEK_END)
        try:
            pid = subprocess.run(["setsid", "--fork", "sh", "-c", 'echo $$; exec "$0" >&2', program()], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=log, cwd="/", check=True).stdout
            return await_answer(own, int(pid), log, begin)
        finally:
            os.close(log)
    finally:
        os.close(lock)


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            return f.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def await_answer(own, pid, log, begin):
    until = time.monotonic() + WAIT
    while True:
        alive = is_alive(pid) and time.monotonic() < until
        try:
            return connect(own)
        except (FileNotFoundError, ConnectionRefusedError) as e:
            if not alive:
                said = os.pread(log, 2048, begin).decode("utf-8", "replace").strip()
                raise ConnectionRefusedError("futured was started and does not answer%s" % ("; it said: " + said if said else "")) from e
            time.sleep(0.01)
