"""Every example of proto/PROTOCOL.md: its bytes decode to the words above them, and are what a daemon or client may send.

An example stands in a fence marked `wire`: a line `C:` (client) or `D:` (daemon) with the message in words, then its bytes in
hex. `/usr/bin/python3 test_protocol_md.py --write` computes the hex lines anew from the words."""
import os
import re
import struct
import sys

import msgpack
import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PAGE = os.path.join(ROOT, "proto", "PROTOCOL.md")
HEX = re.compile(r"   ( [0-9a-f]{2})+")
BYTES_PER_LINE = 38
METHODS = """hello ping submit map call result exception state wait watch unwatch cancel release list show output input pools pause
resume resize open_pool close_pool retry events reload config backup stats failures drain shutdown""".split()
NOTIFICATIONS = "done output progress event".split()
OPTIONS = """name tags priority timeout deadline delay after retries retry_delay key block bound watch retain kwargs cwd env umask nice
limits stdin""".split()


class Words:
    """A message in words: nil, true, 7, 1.5, "str", b"bin", [array], {"key": value}, future(42)."""

    TOKEN = re.compile(r"""\s*(?:(nil|true|false)\b|(-?\d+\.\d+)|(-?\d+)|(b?"(?:[^"\\]|\\.)*")|future\((\d+)\)|([][{},:]))""")
    CONSTANTS = {"nil": None, "true": True, "false": False}

    def __init__(self, text):
        self.text, self.at = text, 0

    def next(self):
        match = self.TOKEN.match(self.text, self.at)
        assert match, "no value at: " + self.text[self.at:]
        self.at = match.end()
        return match

    def sees(self, mark):
        match = self.TOKEN.match(self.text, self.at)
        if match and match.group(6) == mark:
            self.at = match.end()
            return True
        return False

    def items(self, end, item):
        found = []
        while not self.sees(end):
            if found:
                assert self.next().group(6) == ","
            found.append(item())
        return found

    def pair(self):
        key = self.value()
        assert self.next().group(6) == ":"
        return key, self.value()

    def value(self):
        constant, number, integer, string, future, mark = self.next().groups()
        if constant:
            return self.CONSTANTS[constant]
        if number:
            return float(number)
        if integer:
            return int(integer)
        if future:
            return msgpack.ExtType(1, struct.pack(">Q", int(future)))
        if mark == "[":
            return self.items("]", self.value)
        if mark == "{":
            return dict(self.items("}", self.pair))
        assert string, "no value before: " + self.text[self.at:]
        return self.string(string)

    @staticmethod
    def string(literal):
        escapes = {"n": b"\n", '"': b'"', "\\": b"\\"}
        body = literal[literal.index('"') + 1:-1]
        parts = re.split(r"\\(x[0-9a-f]{2}|.)", body)
        raw = b"".join(part.encode() if n % 2 == 0 else bytes.fromhex(part[1:]) if part[0] == "x" else escapes[part]
                       for n, part in enumerate(parts))
        return raw if literal[0] == "b" else raw.decode()


def parse(text):
    words = Words(text)
    value = words.value()
    assert not text[words.at:].strip(), "more than one value: " + text
    return value


def examples():
    """(line number, who speaks, words, hex or "")."""
    found, inside = [], False
    with open(PAGE) as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("```"):
                inside = line == "```wire"
            elif inside and line[:3] in ("C: ", "D: "):
                found.append([number, line[0], line[3:], ""])
            elif inside:
                assert HEX.fullmatch(line), "%s:%d: neither words nor hex: %s" % (PAGE, number, line)
                found[-1][3] += line
    return found


EXAMPLES = [tuple(e) for e in examples()]


def same(a, b):
    """Equal, types too: 1 is neither 1.0 nor true, and a str is no bin."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return a == b


@pytest.mark.parametrize("line,who,words,hexed", EXAMPLES, ids=lambda v: str(v)[:40])
def test_the_bytes_decode_to_the_words(line, who, words, hexed):
    data = bytes.fromhex(hexed)
    assert data, "no hex"
    decoded = msgpack.unpackb(data, raw=False, strict_map_key=False)
    assert same(decoded, parse(words)), decoded
    assert msgpack.packb(decoded) == data, "not the shortest encoding"


def depth(value):
    if isinstance(value, dict):
        value = list(value) + list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize("line,who,words,hexed", EXAMPLES, ids=lambda v: str(v)[:40])
def test_the_message_is_one_that_may_be_sent(line, who, words, hexed):
    message = parse(words)
    assert depth(message) <= 32
    if message[0] == 0:
        _, msgid, method, params = message
        assert who == "C" and 0 <= msgid < 2**32 and method in METHODS and isinstance(params, list)
    elif message[0] == 1:
        _, msgid, error, result = message
        assert who == "D" and 0 <= msgid < 2**32 and (error is None or result is None)
        assert error is None or (isinstance(error["type"], str) and isinstance(error["message"], str))
    else:
        number, method, params = message
        assert number == 2 and isinstance(params, list)
        assert method in NOTIFICATIONS and who == "D"


def test_every_response_answers_the_request_above_it():
    asked = None
    for line, who, words, _ in EXAMPLES:
        message = parse(words)
        if message[0] == 0:
            assert asked is None, "line %d: the request before has no answer" % line
            asked = message[1]
        elif message[0] == 1 and message[1] != 0:
            assert message[1] == asked, "line %d" % line
            asked = None
    assert asked is None


def page():
    with open(PAGE) as f:
        return f.read()


def section(title):
    return re.search(r"^###+ %s$(.*?)(?=^##|\Z)" % title, page(), re.M | re.S)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_section_with_an_example(method):
    found = section(method)
    assert found, "no section"
    assert '"%s", [' % method in found.group(1)


@pytest.mark.parametrize("method", NOTIFICATIONS)
def test_every_notification_has_an_example(method):
    assert [e for e in EXAMPLES if parse(e[2])[:2] == [2, method]]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_submit_is_in_the_table(option):
    assert re.search(r"^\|[^|]*`%s`" % option, section("Options").group(1), re.M)


def test_the_table_of_errors_is_the_list_of_status_h():
    with open(os.path.join(ROOT, "proto", "status.h")) as f:
        names = set(re.findall(r'X\(STATUS_\w+, "(\w+)"', f.read()))
    table = page().split("## 3. Errors")[1].split("## 4.")[0]
    assert set(re.findall(r"^\| `(\w+Error)` \|", table, re.M)) == names


def test_a_link_leads_somewhere():
    text = page()
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)}
    anchors |= set(re.findall(r'<a id="([^"]+)">', text))
    for target in re.findall(r"\]\(#([^)]+)\)", text):
        assert target in anchors, target


def test_the_checker_sees_a_wrong_example():
    """A test that cannot fail proves nothing."""
    assert not same(msgpack.unpackb(bytes.fromhex("94 01 01 c0 2a")), parse("[1, 1, nil, 43]"))
    assert not same(msgpack.unpackb(bytes.fromhex("91 a1 78")), parse('[b"x"]'))
    assert not same(msgpack.unpackb(bytes.fromhex("91 01")), parse("[true]"))
    assert not same(msgpack.unpackb(bytes.fromhex("91 01")), parse("[1.0]"))


def write():
    out, inside = [], False
    for line in page().split("\n"):
        if line.startswith("```"):
            inside = line == "```wire"
        if inside and HEX.fullmatch(line):
            continue
        out.append(line)
        if inside and line[:3] in ("C: ", "D: "):
            data = msgpack.packb(parse(line[3:]))
            for at in range(0, len(data), BYTES_PER_LINE):
                out.append("    " + data[at:at + BYTES_PER_LINE].hex(" "))
    with open(PAGE, "w") as f:
        f.write("\n".join(out))


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    write()
