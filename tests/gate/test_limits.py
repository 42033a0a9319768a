"""How much a caller may do, over real sockets: on one server, and on two that share a Valkey."""

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live import Server, kaiko
from tests.valkey import Valkey

pytestmark = pytest.mark.anyio
ANALYSIS = "/v2/emotions/analysis"
GOOD = {"model": "emotion-v2", "messages": [{"content": {"text": "hello"}}]}


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """One server that says no as it does when nobody has set anything, but for failed keys."""
    usual = {"KAIKO_REQUESTS_PER_MINUTE": 1000, "KAIKO_CONCURRENT_REQUESTS": 10, "KAIKO_FAILED_KEYS_PER_MINUTE": 3}
    running = Server(tmp_path_factory.mktemp("limited") / "var", KAIKO_TRUSTED_PROXIES="127.0.0.1", **usual)
    yield running
    running.stop()


def make(server, *options, **environment):
    made = kaiko("keys", "create", "--json", *options, data_dir=server.data_dir, **environment)
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)["key"]


def many(servers, key, count):
    """Send so many requests at once, in turn to each of *servers*."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda k: servers[k % len(servers)].request("POST", ANALYSIS, GOOD, key=key), range(count)))


@pytest.fixture(scope="module")
def network_key(limited):
    return make(limited, "--from", "203.0.113.0/24", "--from", "2001:db8::/32")


class Held:
    """A request that a server has begun to answer, and that goes on until it is closed."""

    def __init__(self, server, key):
        self.socket = socket.create_connection((server.host, int(server.port)), timeout=60)
        lines = [
            f"POST {ANALYSIS} HTTP/1.1",
            "host: x",
            f"x-api-key: {key}",
            "content-type: application/json",
            "content-length: 90",
            "",
            "",
        ]
        self.socket.sendall("\r\n".join(lines).encode())

    def close(self):
        self.socket.close()


def test_where_one_stands(limited):
    """Both families of headers tell what is left, from the first request on."""
    reply = limited.request("POST", ANALYSIS, GOOD, key=make(limited, "--rpm", "5", "--tokens-per-month", "400"))
    assert reply.status == 200
    headers = reply.headers
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("5", "4")
    assert int(headers["x-ratelimit-reset"]) > 1_700_000_000
    assert re.fullmatch(
        r'"minute";q=5;w=60, "concurrent";q=10;qu="concurrent-requests", "tokens";q=400;w=\d+;qu="tokens"', headers["ratelimit-policy"]
    )
    assert re.fullmatch(r'"minute";r=4;t=60, "concurrent";r=9, "tokens";r=\d+;t=\d+', headers["ratelimit"])
    assert "ratelimit" not in limited.request("GET", "/healthz").headers


def test_no_limit_is_not_told(limited):
    """A key without a limit is told of none."""
    reply = limited.request("GET", "/v2/models", key=make(limited, "--rpm", "0", "--concurrent", "0"))
    assert not [name for name in reply.headers if "ratelimit" in name]


def test_exactly_as_many_pass(limited):
    """Of 60 at once 20 pass; the others are told when to come again, and take no place from anybody."""
    replies = many([limited], make(limited, "--rpm", "20", "--concurrent", "0"), 60)
    assert sorted(r.status for r in replies) == [200] * 20 + [429] * 40
    for refused in (r for r in replies if r.status == 429):
        assert (refused.error["code"], refused.error["type"]) == ("too_many_requests", "rate_limit_error")
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_so_many_at_once(limited):
    """Requests that are being answered take a place until they end, also when their client goes away."""
    key = make(limited, "--concurrent", "2", "--rpm", "0")
    held = [Held(limited, key) for _ in range(2)]
    limited.await_in_flight(3)
    refused = limited.request("POST", ANALYSIS, GOOD, key=key)
    assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (429, "too_many_concurrent_requests", "1")
    held[0].close()
    limited.await_in_flight(2)
    assert limited.request("POST", ANALYSIS, GOOD, key=key).status == 200
    held[1].close()


def test_tokens_of_a_month(tmp_path):
    """When they are used up the key is refused until the next month, by a server that was started anew too; others are not."""
    server = Server(tmp_path / "var")
    key = make(server, "--tokens-per-month", "5")
    assert (
        server.request(
            "POST", ANALYSIS, {"model": "emotion-v2", "messages": [{"content": "We lost everything in the fire."}]}, key=key
        ).status
        == 200
    )
    refused = server.request("POST", ANALYSIS, GOOD, key=key)
    assert (refused.status, refused.error["code"]) == (429, "quota_exceeded")
    assert int(refused.headers["retry-after"]) <= 31 * 86_400
    assert server.request("POST", ANALYSIS, GOOD).status == 200
    server.stop()
    again = Server(tmp_path / "var")
    assert again.request("POST", ANALYSIS, GOOD, key=key).error["code"] == "quota_exceeded"
    again.stop()
    listed = json.loads(kaiko("keys", "list", "--json", data_dir=tmp_path / "var").stdout)
    assert all(one["last_used_at"] for one in listed)


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [("contexts", "POST", ANALYSIS), ("chat", "POST", "/v2/emotions/batch-analysis"), ("analysis", "POST", "/v2/emotions/c/analysis"),
     ("analysis", "GET", "/v2/emotions/c"), ("admin", "DELETE", "/v2/emotions/c")],
)  # fmt: skip
def test_a_key_for_something_else(limited, scope, method, path):
    """A key without a route's scope is refused, and told which one it needs; what is open to every key stays open."""
    key = make(limited, "--scope", scope)
    reply = limited.request(method, path, GOOD if method == "POST" else None, key=key)
    assert (reply.status, reply.error["code"]) == (403, "insufficient_scope")
    assert ("`analysis`" in reply.error["message"]) == (scope in {"contexts", "chat"})
    assert limited.request("GET", "/v2/models", key=key).status == 200


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [(None, 403), ("203.0.113.9", 200), ("::ffff:203.0.113.9", 200), ("203.0.113.9, 198.51.100.2", 403), ("198.51.100.2, 203.0.113.9", 200),
     ("203.0.113.9, 127.0.0.1", 200), ("203.0.113.9, nonsense", 403), ("nonsense", 403)],
)  # fmt: skip
def test_a_key_for_some_addresses(limited, network_key, forwarded, status):
    """It is good there alone: where a client is, is what the nearest undeclared hop says, whatever stands before it."""
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    reply = limited.request("POST", ANALYSIS, GOOD, headers, key=network_key)
    assert reply.status == status
    if status == 403:
        assert reply.error["code"] == "ip_not_allowed"


def test_an_undeclared_hop_is_not_believed(server):
    """Without declared proxies the peer is the client, whatever it says."""
    key = make(server, "--from", "203.0.113.0/24")
    reply = server.request("POST", ANALYSIS, GOOD, {"x-forwarded-for": "203.0.113.9"}, key=key)
    assert (reply.status, reply.error["code"]) == (403, "ip_not_allowed")


def test_failed_keys_of_one_address(limited):
    """After three failures in a minute an address is told 429 for more of them; a good key is let in from there, others are not hurt."""
    wrong = {"x-api-key": "kaiko_live_" + "A" * 38, "x-forwarded-for": "198.51.100.77"}
    replies = [limited.request("POST", ANALYSIS, GOOD, wrong, key=None) for _ in range(5)]
    assert [r.status for r in replies] == [401, 401, 401, 429, 429]
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 60
    assert limited.request("POST", ANALYSIS, GOOD, {"x-forwarded-for": "198.51.100.77"}).status == 200
    assert limited.request("POST", ANALYSIS, GOOD, wrong | {"x-forwarded-for": "198.51.100.78"}, key=None).status == 401


@pytest.fixture
async def pair(postgres, tmp_path):
    """Two servers on one PostgreSQL and one Valkey."""
    valkey, url = Valkey(tmp_path), await postgres.fresh()
    environment = {"KAIKO_DATABASE_URL": url, "KAIKO_VALKEY_URL": valkey.url, "KAIKO_PEPPER": "p" * 32}
    servers = [Server(tmp_path / name, **environment) for name in ("one", "two")]
    yield servers, valkey, environment
    for server in servers:
        server.stop()
    valkey.stop()


async def test_two_servers_count_together(pair):
    """Exactly as many pass as may, whichever server they come to; places are shared too."""
    servers, _, environment = pair
    replies = many(servers, make(servers[0], "--rpm", "20", "--concurrent", "0", **environment), 60)
    assert sorted(r.status for r in replies) == [200] * 20 + [429] * 40
    key = make(servers[0], "--concurrent", "2", "--rpm", "0", **environment)
    held = [Held(server, key) for server in servers]
    for server in servers:
        server.await_in_flight(2)
    refused = servers[0].request("POST", ANALYSIS, GOOD, key=key)
    assert (refused.status, refused.error["code"]) == (429, "too_many_concurrent_requests")
    held[1].close()
    servers[1].await_in_flight(1)
    assert servers[0].request("POST", ANALYSIS, GOOD, key=key).status == 200
    held[0].close()


async def test_without_valkey(pair):
    """While it is gone limits are counted by each server and quotas are closed, the metrics say so; when it is back all is as before."""
    servers, valkey, environment = pair
    server = servers[0]
    free = make(server, "--rpm", "5", **environment)
    quota = make(server, "--tokens-per-month", "1000", **environment)
    assert server.request("POST", ANALYSIS, GOOD, key=quota).status == 200
    valkey.kill()
    assert [server.request("POST", ANALYSIS, GOOD, key=free).status for _ in range(6)] == [200] * 5 + [429]
    refused = server.request("POST", ANALYSIS, GOOD, key=quota)
    assert (refused.status, refused.error["code"]) == (503, "service_unavailable")
    assert b"kaiko_counters_lost 1.0" in server.request("GET", "/metrics").body
    valkey.start()
    while b"kaiko_counters_lost 1.0" in server.request("GET", "/metrics").body:
        server.request("GET", "/v2/models", key=free)
    assert server.request("POST", ANALYSIS, GOOD, key=quota).status == 200
    server.stop()
    log = server.err.read_text()
    assert log.count("shared counters are lost") == log.count("shared counters are back") == 1
