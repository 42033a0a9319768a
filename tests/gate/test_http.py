"""What every request passes: names, bounds, keys, errors; over real sockets."""

import json
import re
import socket

import pytest

from tests.live import Server, kaiko

ANALYSIS = "/v2/emotions/analysis"
GOOD = {"model": "emotion-v2", "messages": [{"content": {"text": "hello"}}]}
REQUEST_ID = re.compile(r"req-[0-9a-f]{24}")


def assert_envelope(reply, status, code):
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert set(reply.json) == {"error"}
    assert {"type", "code", "message", "request_id"} <= set(reply.error) <= {"type", "code", "message", "request_id", "param"}
    assert reply.error["code"] == code
    assert REQUEST_ID.fullmatch(reply.error["request_id"])
    assert reply.headers["x-request-id"] == reply.error["request_id"]


def test_every_reply_has_its_name_and_headers(server):
    """Good or bad, a reply carries its request id, its times and the headers that keep data out of caches."""
    for reply in (server.request("POST", ANALYSIS, GOOD), server.request("GET", "/nowhere"), server.request("GET", "/healthz")):
        assert REQUEST_ID.fullmatch(reply.headers["x-request-id"])
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert "total;dur=" in reply.headers["server-timing"]
        assert "server" not in reply.headers
    stages = server.request("POST", ANALYSIS, GOOD).headers["server-timing"]
    assert all(f"{stage};dur=" in stages for stage in ("auth", "validate", "queue", "inference", "encode"))


def test_no_key_wrong_key_two_keys(server):
    """Missing, malformed, unknown and contradictory keys get one and the same 401, but for its request id."""
    other = "kaiko_live_" + "A" * 38
    tries = [
        {},
        {"x-api-key": "x"},
        {"x-api-key": other},
        {"x-api-key": server.key, "authorization": "Bearer other"},
        {"authorization": "Bearer"},
    ]
    bodies = set()
    for headers in tries:
        reply = server.request("POST", ANALYSIS, GOOD, headers, key=None)
        assert_envelope(reply, 401, "invalid_api_key")
        assert reply.headers["www-authenticate"] == "Bearer"
        bodies.add(reply.body.replace(reply.headers["x-request-id"].encode(), b""))
    assert len(bodies) == 1


def test_the_same_key_twice_is_one(server):
    """Both headers with the same key are no contradiction."""
    headers = {"x-api-key": server.key, "authorization": f"bearer {server.key}"}
    assert server.request("POST", ANALYSIS, GOOD, headers, key=None).status == 200


def test_a_key_comes_before_the_body(server):
    """Who has no key learns nothing about the body: 401 for broken JSON too, and for a wrong media type."""
    assert server.request("POST", ANALYSIS, b"{", {"content-type": "text/plain"}, key=None).status == 401


def test_keys_made_and_revoked_beside_the_server(server):
    """A key made by the command line works at once, and is refused within a second of its revocation."""
    made = json.loads(kaiko("keys", "create", "--name", "beside", "--json", data_dir=server.data_dir).stdout)
    assert server.request("POST", ANALYSIS, GOOD, key=made["key"]).status == 200
    assert kaiko("keys", "revoke", made["id"], data_dir=server.data_dir).returncode == 0
    # The command itself takes longer to end than the promised second after its commit; asking again bounds the wait all the same.
    replies = (server.request("POST", ANALYSIS, GOOD, key=made["key"]) for _ in range(200))
    assert_envelope(next(r for r in replies if r.status != 200), 403, "key_revoked")


def test_an_expired_key_is_told_so(server):
    """A key past its time gets 403 `key_expired`."""
    made = json.loads(kaiko("keys", "create", "--expires", "1m", "--json", data_dir=server.data_dir).stdout)
    assert server.request("POST", ANALYSIS, GOOD, key=made["key"]).status == 200
    assert made["expires_at"] is not None


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "route_not_found"),
        ("GET", "/v2/", 404, "route_not_found"),
        ("POST", "/v2/emotions/analysis/", 404, "route_not_found"),
        ("GET", "/v2/chat/completions", 404, "route_not_found"),
        ("GET", "/docs/../../etc/passwd", 404, "route_not_found"),
        ("GET", "/%00", 404, "route_not_found"),
        ("PUT", ANALYSIS, 405, "method_not_allowed"),
        ("PATCH", ANALYSIS, 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("BREW", "/healthz", 400, "invalid_json"),
        ("PATCH", "/v2/models", 405, "method_not_allowed"),
    ],
)
def test_errors_of_the_framework_have_our_shape(server, method, path, status, code):
    """Unknown routes and methods get the envelope too."""
    reply = server.request(method, path)
    assert_envelope(reply, status, code)
    if status == 405:
        assert reply.headers["allow"]


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/emotions", "/v1/emotions/me/analyse", "/v1/%2e%2e/x"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_version_one_is_over(server, method, path):
    """Every route of V1 answers 410, without a key, and names its successor."""
    reply = server.request(method, path, key=None)
    assert_envelope(reply, 410, "api_version_sunset")
    assert reply.headers["deprecation"].startswith("@")
    assert reply.headers["sunset"] == "Tue, 31 Mar 2026 00:00:00 GMT"
    assert re.fullmatch(r'</v2/[^>]+>; rel="successor-version"', reply.headers["link"])
    assert "/v2/" in reply.error["message"]


def test_a_body_over_the_bound_is_refused_while_it_comes(server):
    """More than 1 MiB gets 413, announced by its length or sent in chunks, and before all of it was read."""
    large = server.request("POST", ANALYSIS, b" " * (1024 * 1024 + 1))
    assert_envelope(large, 413, "payload_too_large")
    head = f"POST {ANALYSIS} HTTP/1.1\r\nhost: x\r\nx-api-key: {server.key}\r\ncontent-type: application/json\r\n"
    with socket.create_connection((server.host, int(server.port)), timeout=60) as connection:
        connection.sendall(f"{head}content-length: 10000000000\r\n\r\n".encode())
        assert b" 413 " in connection.recv(65536).split(b"\r\n")[0]
    with socket.create_connection((server.host, int(server.port)), timeout=60) as connection:
        connection.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        for _ in range(17):
            connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        assert b" 413 " in connection.recv(65536).split(b"\r\n")[0]


def test_the_largest_body_is_taken(server):
    """Exactly 1 MiB is no error."""
    data = json.dumps(GOOD).encode()
    assert server.request("POST", ANALYSIS, data + b" " * (1024 * 1024 - len(data))).status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST /v2/emotions/analysis HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_http_gets_the_envelope(server, data):
    """Faults below the application, which the server answers by itself, have our shape as well."""
    head, _, body = server.raw(data).partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    assert status in {400, 401, 413}
    assert set(json.loads(body)["error"]) == {"type", "code", "message", "request_id"}
    assert json.loads(body)["error"]["request_id"].encode() in head


def test_a_clients_own_id_is_no_key_to_anything(server):
    """`X-Client-Request-Id` is taken and never becomes ours."""
    reply = server.request("POST", ANALYSIS, GOOD, {"x-client-request-id": "mine-1"})
    assert reply.headers["x-request-id"] != "mine-1"


def test_no_cross_origin(server):
    """Keys never live in a browser: a preflight is refused and no reply allows an origin."""
    preflight = server.request("OPTIONS", ANALYSIS, headers={"origin": "https://a.example", "access-control-request-method": "POST"})
    assert_envelope(preflight, 405, "method_not_allowed")
    reply = server.request("POST", ANALYSIS, GOOD, {"origin": "https://a.example"})
    assert not [h for h in reply.headers if h.startswith("access-control")]


def test_https_rules_behind_a_proxy(tmp_path):
    """From a declared proxy, plain HTTP is refused unless the proxy says it took it over HTTPS; then HSTS is set."""
    server = Server(tmp_path / "var", KAIKO_TRUSTED_PROXIES="127.0.0.1")
    try:
        assert_envelope(server.request("POST", ANALYSIS, GOOD, {"x-forwarded-proto": "http"}), 403, "https_required")
        secure = server.request("POST", ANALYSIS, GOOD, {"x-forwarded-proto": "https"})
        assert secure.status == 200
        assert secure.headers["strict-transport-security"].startswith("max-age=")
        assert server.request("POST", ANALYSIS, GOOD, {"x-forwarded-proto": "https, http"}).status == 403
    finally:
        assert server.stop() == 0


def test_a_strangers_forwarded_proto_is_not_believed(server):
    """Without a declared proxy the header means nothing: no HSTS is promised."""
    reply = server.request("POST", ANALYSIS, GOOD, {"x-forwarded-proto": "https"})
    assert "strict-transport-security" not in reply.headers


def exchange(server, data):
    """Send bytes and give what comes until the server closes; unlike `raw`, say nothing of being done."""
    with socket.create_connection((server.host, int(server.port)), timeout=60) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_an_offer_of_another_protocol_changes_nothing(server):
    """Clients that offer HTTP/2 with each request, as Java's does, are answered over HTTP/1.1, body and all, twice."""
    data = json.dumps(GOOD).encode()
    offer = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    head = f"POST {ANALYSIS} HTTP/1.1\r\nhost: x\r\nx-api-key: {server.key}\r\n{offer}content-length: {len(data)}\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    replies = exchange(server, (head.encode() + data) * 2 + last)
    assert replies.count(b"HTTP/1.1 200 OK") == 3
    assert replies.count(b'"text":"hello"') == 2


def test_what_follows_a_good_request_cannot_spoil_its_answer(server):
    """Garbage behind a request on the same connection: the request is answered, then the connection ends."""
    head = f"GET /v2/models HTTP/1.1\r\nhost: x\r\nx-api-key: {server.key}\r\n\r\n"
    replies = exchange(server, head.encode() + b"GARBAGE\r\n\r\n")
    assert replies.startswith(b"HTTP/1.1 200 OK")
    assert replies.count(b"HTTP/1.1 ") == 1
