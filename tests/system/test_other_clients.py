"""MessagePack-RPC clients that others wrote, unchanged: they know nothing of futured, and all of it works with them.

pynvim's sends methods as bin, introduces itself with a request that nobody knows, and keeps many calls in flight; msgpack-rpc-node
begins with msgid 0 and has one call outstanding; msgpack5rpc sends notifications. What is not installed, or cannot be had from npm here, is said by name."""
import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long
NODE_CLIENTS = {"msgpack-rpc-node": "0.1.0-alpha.3", "msgpack5rpc": "1.1.0"}

PYNVIM = """
import sys, warnings
warnings.simplefilter("ignore")
from pynvim.msgpack_rpc import socket_session, ErrorResponse

session = socket_session(sys.argv[1])
session.error_wrapper = lambda error: Exception(error)  # which its editor's side would set
assert session.request("ping", [1, "two", 3.5]) == [1, "two", 3.5]
ids = [session.request("submit", "shell", "echo", [str(n)]) for n in range(20)]
assert ids == list(range(ids[0], ids[0] + 20))
for n, id in enumerate(ids):
    assert session.request("result", id)["stdout"] == b"%d\\n" % n
try:
    session.request("result", 2**53 - 1)
    raise SystemExit("an error was no error")
except Exception as error:
    assert "UnknownFutureError" in str(error.args), error

# Many in flight: one that waits blocks none behind it, and answers come in any order.
slow = session.request("submit", "shell", "sh", ["-c", "read x < " + sys.argv[2]])
order = []
session.request("result", slow, async_=True)
assert session.request("state", [slow]) in (["RUNNING"], ["PENDING"])

# A notification from the daemon.
heard = []
def on_notification(name, params):
    heard.append((name, params))
    session.stop()
done = session.request("submit", "shell", "true", [], {"watch": True})
session.run(lambda *_: None, on_notification, lambda: None)
name, params = heard[0]
name = name.decode() if isinstance(name, bytes) else name
assert name == "done" and params[0] == done and params[1] in ("FINISHED", b"FINISHED"), heard
assert session.request("cancel", [slow], {"running": "kill", "grace": 0}) == [True]
print("well")
"""

MSGPACK_RPC_NODE = """
const { Client, UnixClient } = require('msgpack-rpc-node');
(async () => {
  const c = new Client(UnixClient, process.argv[2]);
  await c.connect();
  const said = await c.call('ping', [1, 'two']);             // its first msgid is 0
  const values = [];                                         // it takes what it reads at once for one answer, so one call at a time
  for (let n = 0; n < 20; n++)
    values.push(await c.call('result', await c.call('submit', 'shell', 'echo', [String(n)])));
  let type = null;
  try { await c.call('result', Number.MAX_SAFE_INTEGER); } catch (e) { type = e.type; }
  console.log(JSON.stringify([said, values.map(v => Buffer.from(v.stdout).toString()), type]));
  process.exit(0);
})();
"""

MSGPACK5RPC = """
const net = require('net'), Session = require('msgpack5rpc');
const socket = net.connect(process.argv[2]), session = new Session();
session.attach(socket, socket);
const call = (method, ...args) => new Promise((resolve, reject) =>
  session.request(method, args, (error, result) => error ? reject(error) : resolve(result)));
(async () => {
  session.notify('hello_there', ['a notification that nobody knows']);
  const done = new Promise(resolve => session.on('notification', (method, args) => resolve([method, args[1]])));
  const said = await call('ping', [1, 'two']);
  const ids = await Promise.all([...Array(20).keys()].map(n => call('submit', 'shell', 'echo', [String(n)])));
  const values = await Promise.all(ids.map(id => call('result', id)));
  let type = null;
  try { await call('result', Number.MAX_SAFE_INTEGER); } catch (e) { type = e.type; }
  await call('submit', 'shell', 'true', [], {watch: true});
  console.log(JSON.stringify([said, values.map(v => v.stdout.toString()), type, await done]));
  process.exit(0);
})();
"""


def run(argv, **keys):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, **keys)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_pynvims_session(daemon, tmp_path):
    if subprocess.run([sys.executable, "-c", "import pynvim"], capture_output=True).returncode != 0:
        pytest.skip("the package python3-pynvim is not installed")
    os.mkfifo(tmp_path / "never")
    assert run([sys.executable, "-c", PYNVIM, daemon.address, str(tmp_path / "never")]) == "well\n"


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory):
    """A directory with the clients from npm; fetched by npm itself, kept nowhere."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip("%s is not installed" % program)
    where = tmp_path_factory.mktemp("npm")
    packages = ["%s@%s" % item for item in NODE_CLIENTS.items()]
    try:
        got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages], cwd=where,
                             capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("npm does not answer: %s not to be had" % ", ".join(packages))
    if got.returncode != 0:
        pytest.skip("npm cannot fetch %s" % ", ".join(packages))
    return where


def from_node(node_modules, script, daemon):
    path = node_modules / "client.js"
    path.write_text(script)
    return json.loads(run(["node", str(path), daemon.address], cwd=node_modules))


def test_msgpack_rpc_node(daemon, node_modules):
    assert from_node(node_modules, MSGPACK_RPC_NODE, daemon) == [
        [1, "two"], ["%d\n" % n for n in range(20)], "UnknownFutureError"]


def test_msgpack5rpc(daemon, node_modules):
    assert from_node(node_modules, MSGPACK5RPC, daemon) == [
        [1, "two"], ["%d\n" % n for n in range(20)], "UnknownFutureError", ["done", "FINISHED"]]
