"""What is not a proper request is answered with a reason, and the daemon goes on."""

import json

import pytest

from rpc import RpcError

MESSAGE_BYTES_MAX = 8 << 20
STATUS = {"jsonrpc": "2.0", "id": 1, "method": "status", "params": {"protocol": 1}}


def nested(depth):
    """A request with arrays in it, `depth` levels in all."""
    return json.dumps({**STATUS, "params": {"protocol": 1, "deep": None}}).replace(
        "null", "[" * (depth - 2) + "]" * (depth - 2)).encode()


@pytest.mark.parametrize("line, code, message", [
    (b"", -32700, "not JSON: there is no text"),
    (b"hello", -32700, "not JSON: unexpected text at byte 1"),
    (b'{"jsonrpc": "2.0", "id": 1, "meth', -32700, "not JSON: it ends too early"),
    (b'{"jsonrpc": "2.0"} x', -32700, "not JSON: unexpected text at byte 20"),
    (b'{"a": 1, "a": 2}', -32700, 'member "a" twice'),
    (b'{"a": "\xff"}', -32700, "not UTF-8 at byte 8"),
    (b'{"a": "\x00"}', -32700, "not JSON: unexpected text at byte 8"),
    (b'{"a": "\\u0000"}', -32700, "NUL at byte 8"),
    (b'{"a": 1e999}', -32700, "a number over 1.8e308"),
    (b"[1, 2]", -32600, "a message must be a JSON object"),
    (nested(17), -32700, "deeper than 16 levels"),
    (b"[" * 100000, -32700, "deeper than 16 levels"),
], ids=["empty", "text", "truncated", "trailing", "twice", "utf8", "nul", "escaped-nul",
        "infinite", "array", "deep", "very-deep"])
def test_not_a_message(shared_daemon, shared, line, code, message):
    shared.send_bytes(line + b"\n")
    answer = shared.receive()
    assert answer == {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    assert shared.call("status")["pid"] == shared_daemon.process.pid


def test_sixteen_levels_are_fine(shared):
    """Its fault is another: no such parameter."""
    shared.send_bytes(nested(16) + b"\n")
    assert shared.receive()["error"]["code"] == -32602


def test_a_message_in_pieces(shared):
    for byte in json.dumps(STATUS).encode() + b"\n":
        shared.send_bytes(bytes([byte]))
    assert shared.receive()["result"]["protocol"] == 1


def test_many_messages_at_once(shared):
    requests = [{**STATUS, "id": number} for number in range(50)]
    shared.send_bytes(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
    assert sorted(shared.receive()["id"] for _ in requests) == list(range(50))


@pytest.mark.parametrize("rest, end", [(0, b""), (1 << 20, b""), (20 << 20, b'"}\n')],
                         ids=["unended", "more", "much-more"])
def test_oversized(shared_daemon, shared, rest, end):
    """The connection ends, for nobody knows where the next message begins."""
    data = b'{"a": "' + b"x" * (MESSAGE_BYTES_MAX + rest) + end
    shared.send_bytes(data)  # all of it, before the answer is read
    answer = shared.receive()
    assert answer == {"jsonrpc": "2.0", "id": None, "error": {
        "code": 6, "message": f"a message of over {MESSAGE_BYTES_MAX} bytes"}}
    assert shared.receive() is None
    with shared_daemon.client() as other:
        assert other.call("status")["pid"] == shared_daemon.process.pid


def test_a_connection_cut_in_the_middle(shared_daemon):
    with shared_daemon.client() as client:
        client.send_bytes(b'{"jsonrpc": "2.0", "id": 1, "meth')
    with shared_daemon.client() as client:
        assert client.call("status")["pid"] == shared_daemon.process.pid


@pytest.mark.parametrize("change, code, message", REQUESTS := [
    ({"jsonrpc": "1.0"}, -32600, 'not a request: "jsonrpc" is not "2.0"'),
    ({"jsonrpc": None}, -32600, 'not a request: "jsonrpc" is not "2.0"'),
    ({"id": None}, -32600, 'not a request: "id" is neither a number nor text'),
    ({"id": [1]}, -32600, 'not a request: "id" is neither a number nor text'),
    ({"method": 7}, -32600, 'not a request: "method" is not text'),
    ({"params": [1]}, -32602, '"params" is not an object with "protocol"'),
    ({"method": "explode"}, -32601, 'unknown method "explode"'),
    ({"method": "statsu"}, -32601, 'unknown method "statsu", did you mean "status"?'),
    ({"params": {}}, -32602, '"protocol" is missing'),
    ({"params": {"protocol": "1"}}, -32602, '"protocol" is not a whole number'),
    ({"params": {"protocol": 1, "verbose": True}}, -32602,
     'unknown parameter "verbose" of "status"'),
    ({"method": "show"}, -32602, '"target" is missing, expected text'),
    ({"method": "show", "params": {"protocol": 1, "target": 7}}, -32602,
     '"target" is not text'),
    ({"method": "show", "params": {"protocol": 1, "traget": "1"}}, -32602,
     'unknown parameter "traget" of "show", did you mean "target"?'),
    ({"method": "list", "params": {"protocol": 1, "limit": 0}}, -32602,
     '"limit" is 0, expected 1 to 10000'),
    ({"method": "list", "params": {"protocol": 1, "limit": 10001}}, -32602,
     '"limit" is 10001, expected 1 to 10000'),
    ({"method": "list", "params": {"protocol": 1, "limit": 1.5}}, -32602,
     '"limit" is not a whole number'),
    ({"method": "list", "params": {"protocol": 1, "state": "asleep"}}, -32602,
     '"state" is "asleep", expected held, queued, running, done, failed or cancelled'),
    ({"method": "show", "params": {"protocol": 1, "target": "12"}}, 2, "no job 12"),
    ({"method": "show", "params": {"protocol": 1, "target": "sweep-12"}}, 2,
     'no sweep "sweep-12"'),
    ({"method": "history", "params": {"protocol": 1, "target": "nobody"}}, 2,
     'no sweep "nobody"'),
    ({"method": "cancel", "params": {"protocol": 1, "target": "last"}}, 2,
     "you have submitted no sweep yet"),
    ({"method": "watch", "params": {"protocol": 1, "target": "9..3"}}, 2, "no jobs 9..3"),
], ids=[json.dumps(change) for change, _, _ in REQUESTS])
def test_not_a_good_request(shared_daemon, shared, change, code, message):
    request = {name: value for name, value in {**STATUS, **change}.items()
               if value is not None}
    shared.send_bytes(json.dumps(request).encode() + b"\n")
    answer = shared.receive()
    assert (answer["error"]["code"], answer["error"]["message"]) == (code, message)
    assert answer["id"] == (None if "id" in change else 1)
    assert shared.call("status")["pid"] == shared_daemon.process.pid


def test_wrong_protocol_version(shared):
    request = {**STATUS, "params": {"protocol": 2}}
    shared.send_bytes(json.dumps(request).encode() + b"\n")
    error = shared.receive()["error"]
    assert error == {"code": 5, "message": "protocol 2 is not spoken here, expected 1", "data": {"protocol": 1}}


def test_too_many_requests_under_way(shared):
    """More than 64 are refused or wait; none is lost."""
    for number in range(200):
        shared.send_bytes(json.dumps({**STATUS, "id": number}).encode() + b"\n")
    answers = {message["id"]: message for message in (shared.receive() for _ in range(200))}
    assert sorted(answers) == list(range(200))
    assert all("result" in message or message["error"]["code"] == 12
               for message in answers.values())


def test_questions_about_nothing(shared):
    assert shared.call("list") == {"jobs": [], "next": None}
    assert shared.call("sweeps") == {"sweeps": [], "next": None}
    with pytest.raises(RpcError) as refused:
        shared.call("results", target="last")
    assert refused.value.code == 2
