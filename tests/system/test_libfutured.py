"""libfutured as a stranger meets it: what the libraries export, the headers, the examples, the documentation."""
import glob
import http.server
import os
import re
import shutil
import subprocess
import threading

import pytest

import helpers

CLIENT = os.path.join(helpers.ROOT, "client")
LIB = os.path.join(helpers.BUILD, "lib")
MODULES = os.path.join(helpers.BUILD, "modules")
SAN = ",".join(os.path.basename(helpers.BUILD).split("-")[1:]).replace("clang", "")  # as the Makefile names its directories
SANITIZED = SAN != ""
MAKE = ("make", "-s", "-C", helpers.ROOT) + (("SAN=" + SAN,) if SAN else ("B=" + os.path.relpath(helpers.BUILD, helpers.ROOT),))
CONFIG = {"pools": {
    "io": {"kind": "thread", "workers": 8, "modules": [MODULES + "/work.so", MODULES + "/fetch.so"]},
    "cpu": {"kind": "process", "workers": 2, "modules": [MODULES + "/work.so", MODULES + "/parse.so"]},
}}


def run(*argv, status=0, **keys):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, **keys)
    assert done.returncode == status, "%s\n%s\n%s" % (argv, done.stdout, done.stderr)
    return done


def declared(header):
    with open(os.path.join(CLIENT, header)) as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    return set(re.findall(r"^FUTURED_API [^;]*?\b(futured_\w+)\(", text, flags=re.M))


def exported(library):
    lines = run("nm", "-D", "--defined-only", os.path.join(LIB, library)).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in lines if line.split()[-2] != "A"}


# Libraries and headers

@pytest.mark.skipif(SANITIZED, reason="sanitizers export symbols of their own")
@pytest.mark.parametrize("library, header", [("libfutured.so", "futured.h"), ("libfutured-event.so", "futured_event.h")])
def test_a_library_exports_what_its_header_declares_and_nothing_else(library, header):
    assert len(declared(header)) >= 2
    assert exported(library) == declared(header)


@pytest.mark.skipif(SANITIZED, reason="sanitizers export symbols of their own")
@pytest.mark.parametrize("library, header", [("libfutured.a", "futured.h"), ("libfutured-event.a", "futured_event.h")])
def test_the_static_library_defines_the_same(library, header):
    lines = run("nm", "-g", "--defined-only", os.path.join(LIB, library)).stdout.splitlines()
    assert {line.split()[-1] for line in lines if len(line.split()) == 3} == declared(header)


@pytest.mark.parametrize("library", ["libfutured", "libfutured-event"])
def test_the_shared_library_has_a_soname_and_versions(library):
    text = run("readelf", "-d", os.path.join(LIB, library + ".so")).stdout
    assert "soname: [%s.so.0]" % library in text
    assert "_0" in run("readelf", "-V", os.path.join(LIB, library + ".so")).stdout
    assert os.path.realpath(os.path.join(LIB, library + ".so")) == os.path.realpath(os.path.join(LIB, library + ".so.0"))


def test_the_core_does_not_depend_on_libevent():
    assert "libevent" not in run("readelf", "-d", os.path.join(LIB, "libfutured.so")).stdout


@pytest.mark.parametrize("header", ["futured.h", "futured_event.h"])
@pytest.mark.parametrize("compiler", [("gcc", "-std=c99", "-xc"), ("gcc", "-std=c11", "-xc"), ("g++", "-std=c++11", "-xc++"),
                                      ("clang", "-std=c99", "-xc")], ids=lambda c: c[0] + c[1])
def test_the_headers_compile_everywhere(header, compiler):
    if shutil.which(compiler[0]) is None:
        pytest.skip(compiler[0] + " is not installed")
    run(*compiler, "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", os.path.join(CLIENT, header))


def test_every_function_is_in_a_manual_page():
    named = set()
    for page in glob.glob(os.path.join(helpers.ROOT, "docs", "*.3")):
        with open(page) as f:
            named |= set(re.findall(r"^\.Nm (futured_\w+)", f.read(), flags=re.M))
    assert declared("futured.h") | declared("futured_event.h") <= named


def test_installed_it_can_be_used_with_pkg_config(tmp_path):
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")
    run(*MAKE, "install", "PREFIX=" + str(tmp_path), env={**os.environ, "MAKEFLAGS": ""})
    env = {**os.environ, "PKG_CONFIG_PATH": str(tmp_path / "lib/pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "futured-event", env=env).stdout.split()
    source = os.path.join(helpers.ROOT, "examples", "client", "events.c")
    run("gcc", *(["-fsanitize=" + SAN] if SAN else []), "-o", str(tmp_path / "events"), source, *flags, "-levent_core")
    assert (tmp_path / "share/man/man3/futured_new.3").read_text().startswith(".so man3/")


# The table of rules

def test_every_test_that_the_table_of_rules_names_exists_and_every_rule_has_a_row():
    with open(os.path.join(helpers.ROOT, "docs", "concurrent-futures.md")) as f:
        text = f.read()
    there = set()
    for path in glob.glob(os.path.join(helpers.ROOT, "tests", "unit", "test_client_*.c")):
        with open(path) as f:
            there |= set(re.findall(r"(?:cmocka_unit_test|T)\((\w+)\)", f.read()))
    for path in glob.glob(os.path.join(helpers.ROOT, "tests", "system", "test_*.py")):
        with open(path) as f:
            there |= set(re.findall(r"^def (test_\w+)", f.read(), flags=re.M))
    named = {n for n in re.findall(r"`((?:r\d\d|test|ids|a_|thousands)\w*)`", text) if not n.startswith("test_client_")}
    assert len(named) > 40 and named <= there, sorted(named - there)
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", text, flags=re.M)][:44] == list(range(1, 45))


# The examples

class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("<html><title>Page %s</title>%s" % (self.path, "<a href=x>" * len(self.path))).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def pages():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield "http://127.0.0.1:%d" % server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def example(name, daemon, *args, prefix=()):
    return run(*prefix, os.path.join(helpers.BUILD, "examples", name), "unix:" + daemon.address, *args)


def check_blocking(daemon, prefix=()):
    out = example("blocking", daemon, prefix=prefix).stdout.splitlines()
    assert out[0] == "2 + 3 = 5" and out[1].startswith('2 + "three": TypeError: ')


def check_progress(daemon, prefix=()):
    out = example("progress", daemon, "0.4", prefix=prefix).stdout.splitlines()
    assert [line.split(":")[0] for line in out] == ["%d of 8" % n for n in range(1, 9)]
    ids = [int(line.split()[4]) for line in out]
    assert sorted(ids) == list(range(min(ids), min(ids) + 8))


def check_events(daemon, prefix=()):
    out = set(example("events", daemon, prefix=prefix).stdout.splitlines())
    assert out == {"4 primes below 10", "25 primes below 100", "168 primes below 1000", "1229 primes below 10000",
                   "9592 primes below 100000"}


def check_pages(daemon, pages, prefix=()):
    urls = ["%s/%s" % (pages, "x" * n) for n in range(1, 21)]
    out = set(example("pages", daemon, *urls, "ftp://nowhere", prefix=prefix).stdout.splitlines())
    assert out == {"%s/%s: Page /%s, %d links" % (pages, "x" * n, "x" * n, n + 1) for n in range(1, 21)} | {
        "ftp://nowhere: the task raised an exception of its own"}


def test_the_blocking_example(shared_daemon):
    check_blocking(shared_daemon)


def test_the_progress_example_tells_futures_as_they_finish(shared_daemon):
    check_progress(shared_daemon)


def test_the_libevent_example(shared_daemon):
    check_events(shared_daemon)


def test_pages_are_downloaded_on_threads_and_parsed_in_processes(shared_daemon, pages):
    check_pages(shared_daemon, pages)


def test_that_program_has_no_more_than_40_lines_of_code():
    with open(os.path.join(helpers.ROOT, "examples", "client", "pages.c")) as f:
        code = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 45


@pytest.mark.parametrize("name", ["blocking", "progress", "events", "pages"])
def test_without_a_daemon_an_example_says_so_and_fails(name, tmp_path):
    run(os.path.join(helpers.BUILD, "examples", name), "unix:%s/nobody" % tmp_path, status=1)


# Valgrind

VALGRIND = ("valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect,possible",
            "--child-silent-after-fork=yes")


@pytest.mark.long
@pytest.mark.skipif(SANITIZED, reason="sanitizers and valgrind exclude each other")
def test_valgrind_finds_nothing_in_the_examples(shared_daemon, pages):
    check_blocking(shared_daemon, VALGRIND)
    check_progress(shared_daemon, VALGRIND)
    check_events(shared_daemon, VALGRIND)
    check_pages(shared_daemon, pages, VALGRIND)


@pytest.mark.long
@pytest.mark.skipif(SANITIZED, reason="sanitizers and valgrind exclude each other")
@pytest.mark.parametrize("name", ["core", "pack", "memory", "blocking", "rules", "map", "reconnect", "event"])
def test_valgrind_finds_nothing_in_the_unit_tests(name):
    program = os.path.join(helpers.BUILD, "tests", "test_client_" + name)
    assert os.path.exists(program), "build it first: make unit"
    done = subprocess.run([*VALGRIND, program], timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
