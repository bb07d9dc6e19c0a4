"""JSON in and out of fut call: values come back as they went in, and what cannot is refused, never changed."""
import json
import os
import random

import pytest

from cli_helper import FUT

CONFIG = {"pools": {"io": {"kind": "thread", "workers": 2, "modules": [os.path.join(os.path.dirname(FUT), "..", "modules", "work.so")]}}}


def there_and_back(fut, text):
    return fut.ok("--json", "call", "io", "echo", "--args", "[%s]" % text).decode().rstrip("\n")


@pytest.mark.parametrize("text", [
    "0", "-1", "1", "127", "128", "-128", "-129", "255", "65536", "2147483648", "-2147483649", "9007199254740993", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "18446744073709551615", "0.5", "-0.0", "1.0", "1e+300", "1e-300", "0.1", "true", "false", "null", '""', '"a"',
    '"é€😀"', '"\\u0000"', '"\\"\\\\\\n\\t"', "[]", "{}", '[1, [2, [3, {"a": []}]]]', '{"a": 1, "b": {"c": null}}', '{"base64": "AP8="}', '{"base64": ""}',
    '{"base64": "AP8=", "more": 1}', '{"future": "no"}', '{"": 0}',
])
def test_values_come_back_as_they_went(sf, text):
    assert there_and_back(sf, text) == text


@pytest.mark.parametrize("text, same", [
    ('"\\u00e9\\u20ac"', '"é€"'), ('"\\ud83d\\ude00"', '"😀"'), ('"\\/\\b\\f\\r"', '"/\\u0008\\u000c\\u000d"'), (" [ 1 , 2 ] ", "[1, 2]"),
    ("1E2", "100.0"), ("\t{\n\"a\"\r:\n1}\n", '{"a": 1}'), ("-0", "0"),
])
def test_other_spellings_mean_the_same(sf, text, same):
    assert there_and_back(sf, text) == same


@pytest.mark.parametrize("text, told", [
    ("18446744073709551616", "64 bits"), ("-9223372036854775809", "64 bits"), ("1e999", "too large"), ('"\\ud800"', "surrogate"), ('"\\ude00"', "surrogate"),
    ('"\\ud83dx"', "surrogate"), ('"\\ud83d\\u0041"', "surrogate"), ('"\\u12g4"', "hexadecimal"), ('"\\x"', "backslash"), ('"a', "does not end"), ('"a\nb"', "\\u000a"),
    ("01", "number"), ("1.", "number"), (".5", "value"), ("-", "number"), ("+1", "value"), ("0x10", "']'"), ("tru", "value"), ("NaN", "value"),
    ("[1,]", "value"), ("[1 2]", "']'"), ('{"a" 1}', "':'"), ('{"a":1,}', "string"), ("{a:1}", "string"), ('{"a":1,"b":2,"a":3}', "twice"), ('{"base64": "x"}', "base64"),
    ('{"base64": "A==="}', "base64"), ("[" * 70 + "]" * 70, "deep"), ("1] [2", "behind"),
])
def test_what_is_no_json_is_told_with_its_place(sf, text, told):
    done = sf.run("call", "io", "echo", "--args", "[%s]" % text)
    message = done.stderr.decode()
    assert done.returncode == 2 and done.stdout == b"" and told in message and "line " in message and "column " in message, message


def test_bytes_that_are_no_utf8_are_refused(sf):
    done = sf.run("call", "io", "echo", "--args", "-", input=b'["\xff"]')
    assert done.returncode == 2 and b"UTF-8" in done.stderr


def test_the_place_of_a_mistake_is_counted_in_characters(sf):
    done = sf.run("call", "io", "echo", "--args", "-", input='["é",\n "€", x]'.encode())
    assert b"line 2, column 7" in done.stderr


@pytest.mark.parametrize("word, value", [("7", 7), ("18446744073709551615", 18446744073709551615), ("1.5", 1.5), ("true", True), ("[1]", [1]), ("1.2.3", "1.2.3"),
                                         ("007", "007"), ("2026-01-01", "2026-01-01"), ("-", "-"), ("--x", "--x"), ("it's", "it's"), ('"7"', "7"), ("", "")])
def test_an_operand_is_json_or_else_a_string(sf, word, value):
    assert json.loads(sf.ok("--json", "call", "io", "echo", word)) == value


@pytest.mark.parametrize("words", [["--timeout", "5"], ["--kwargs={}"], ["1", "--args", "[]"], ["--json"]], ids=" ".join)
def test_options_behind_the_function_are_no_arguments(sf, words):
    done = sf.run("call", "io", "echo", *words)
    assert done.returncode == 2 and b"options stand in front of the function" in done.stderr and done.stdout == b""


def test_behind_two_dashes_all_are_arguments(sf):
    assert sf.ok("call", "io", "echo", "--", "--timeout") == b"--timeout\n" == sf.ok("call", "--", "io", "echo", "--timeout")
    assert sf.ok("call", "io", "echo", "--", "--") == b"--\n"
    assert sf.ok("call", "--priority", "9", "io", "echo", "x") == b"x\n"


def test_an_integer_that_does_not_fit_is_no_string(sf):
    for word in ("18446744073709551616", "-9223372036854775809"):
        done = sf.run("call", "io", "echo", word)
        assert done.returncode == 2 and b"64 bits" in done.stderr and done.stdout == b""


def test_random_values_survive(sf):
    chance = random.Random(7)

    def value(depth):
        kind = chance.randrange(7 if depth else 5)
        if kind == 0:
            return chance.choice([None, True, False])
        if kind == 1:
            return chance.randrange(-2 ** 63, 2 ** 64)
        if kind == 2:
            return chance.uniform(-1, 1) * 10.0 ** chance.randrange(-300, 300)
        if kind < 5:
            return "".join(chr(chance.choice([chance.randrange(1, 0x80), chance.randrange(0x80, 0xd800), chance.randrange(0xe000, 0x110000)])) for _ in range(8))
        if kind == 5:
            return [value(depth - 1) for _ in range(chance.randrange(6))]
        return {"k%d" % n: value(depth - 1) for n in range(chance.randrange(6))}

    values = [value(5) for _ in range(200)]
    for ascii_only in (True, False):
        text = json.dumps([values], ensure_ascii=ascii_only).encode()
        assert json.loads(sf.ok("--json", "call", "io", "echo", "--args", "-", input=text)) == values
