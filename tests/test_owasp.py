"""The OWASP API Security Top 10 (2023): a class a risk, each of which fails when its defence is taken out."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from kaiko_server.store.counters import Ask, CountersError, Limits
from kaiko_server.store.valkey import ValkeyCounters
from tests.live import kaiko

ANALYSIS = "/v2/emotions/analysis"
GOOD = {"model": "emotion-v2", "messages": [{"content": "hello", "externalId": "m1"}]}


@pytest.fixture(scope="module")
def stranger(server):
    """A key of another project."""
    made = kaiko("keys", "create", "--project", "strangers", "--json", data_dir=server.data_dir)
    return json.loads(made.stdout)["key"]


class TestBrokenObjectLevelAuthorization:
    """API1: an object is found by who asks for it, never by its name alone."""

    @pytest.mark.parametrize("rest", ["", "/message/m1", "/trajectory", "/export"])
    def test_reading(self, server, stranger, rest):
        """The context of another project is not there, on any route."""
        assert server.request("POST", "/v2/emotions/api1/analysis", GOOD).status == 200
        assert server.request("GET", f"/v2/emotions/api1{rest}").status == 200
        assert server.request("GET", f"/v2/emotions/api1{rest}", key=stranger).status == 404

    def test_writing_and_erasing(self, server, stranger):
        """Writing to and erasing a context of this name touches the stranger's own alone."""
        before = server.request("POST", "/v2/emotions/api1-w/analysis", GOOD).json["context_message_count"]
        assert server.request("POST", "/v2/emotions/api1-w/analysis", GOOD, key=stranger).json["context_message_count"] == 1
        assert server.request("DELETE", "/v2/emotions/api1-w", key=stranger).status == 204
        assert server.request("GET", "/v2/emotions/api1-w").json["context_message_count"] == before


class TestBrokenAuthentication:
    """API2: no key, a forged one, another's, a revoked one: all are refused, and none is told from another."""

    @pytest.mark.parametrize("key", [None, "", "x", "kaiko_live_" + "A" * 38, "kaiko_live_' OR 1=1 --", "null"])
    def test_no_key_opens(self, server, key):
        """What is no key opens nothing, in either header."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        for method, path in (
            ("POST", ANALYSIS),
            ("GET", "/v2/emotions/x"),
            ("DELETE", "/v2/emotions/x"),
            ("GET", "/admin/v1/keys"),
            ("GET", "/v2/models"),
        ):
            assert server.request(method, path, GOOD if method == "POST" else None, headers, key=None).status == 401

    def test_a_key_with_one_character_changed(self, server):
        """A near miss is a miss: the checksum is no proof."""
        changed = server.key[:20] + ("a" if server.key[20] != "a" else "b") + server.key[21:]
        assert server.request("POST", ANALYSIS, GOOD, key=changed).error["code"] == "invalid_api_key"


class TestBrokenObjectPropertyLevelAuthorization:
    """API3: what a client may not set it cannot set, and what it may not see is in no reply."""

    def test_nothing_is_set_by_the_way(self, server, stranger):
        """Fields that name a project, a plan or a key are ignored wherever they stand."""
        body = GOOD | {"project_id": "other", "plan": "free", "scopes": ["admin"], "environment": "test", "denied": []}
        assert server.request("POST", "/v2/emotions/api3/analysis", body, key=stranger).status == 200
        assert server.request("GET", "/v2/emotions/api3").status == 404

    def test_no_secret_in_a_reply(self, server):
        """Digests, peppers, hashes and keys of the database are in no reply, the export and the administration included."""
        made = json.loads(kaiko("keys", "create", "--scope", "admin", "--json", data_dir=server.data_dir).stdout)
        server.request("POST", "/v2/emotions/api3-e/analysis", GOOD)
        told = server.request("GET", "/v2/emotions/api3-e/export").body + server.request("GET", "/admin/v1/keys", key=made["key"]).body
        assert not any(word in told for word in (b"digest", b"pepper", b"hash", b'"key":', made["key"].encode()))


class TestUnrestrictedResourceConsumption:
    """API4: requests, their size, their number and what they ask for are bounded."""

    @pytest.mark.parametrize(
        ("body", "code"),
        [(b"x" * (1024 * 1024 + 1), "payload_too_large"), (GOOD | {"messages": [{"content": "a"}] * 101}, "batch_too_large"),
         ({"model": "emotion-v2", "messages": [{"content": "a" * 10_001}]}, "text_too_long")],
    )  # fmt: skip
    def test_size(self, server, body, code):
        """Too large, too many and too long are refused."""
        assert server.request("POST", ANALYSIS, body).error["code"] == code

    def test_number(self, server):
        """Of thirty at once five pass."""
        key = json.loads(kaiko("keys", "create", "--rpm", "5", "--json", data_dir=server.data_dir).stdout)["key"]
        with ThreadPoolExecutor(10) as pool:
            statuses = list(pool.map(lambda _: server.request("POST", ANALYSIS, GOOD, key=key).status, range(30)))
        assert statuses.count(200) == 5
        assert statuses.count(429) == 25

    def test_pages(self, server):
        """No page is as long as a client likes."""
        assert server.request("GET", "/v2/emotions/api3-e/export?limit=1000000").status == 422


class TestBrokenFunctionLevelAuthorization:
    """API5: administration is for administrators, whatever the method."""

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "PATCH"])
    @pytest.mark.parametrize("path", ["/admin/v1/keys", "/admin/v1/keys/x", "/admin/v1/keys/x/rotate"])
    def test_a_usual_key(self, server, method, path):
        """A key without the scope gets nowhere."""
        reply = server.request(method, path, {} if method == "POST" else None)
        assert reply.status in {403, 405}

    def test_no_key_makes_a_better_one(self, server):
        """Not even by asking for the scope."""
        assert server.request("POST", "/admin/v1/keys", {"scopes": ["admin"]}).error["code"] == "insufficient_scope"


class TestUnrestrictedAccessToSensitiveBusinessFlows:
    """API6: what costs, or counts, once is not had twice by asking twice."""

    def test_a_retry_has_no_effect(self, server):
        """Ten times the same request is one message in the context."""
        replies = [server.request("POST", "/v2/emotions/api6/analysis", GOOD, {"idempotency-key": "api6"}) for _ in range(10)]
        assert {r.body for r in replies} == {replies[0].body}
        assert server.request("GET", "/v2/emotions/api6").json["context_message_count"] == 1


class TestServerSideRequestForgery:
    """API7: no text, name or header makes the server open a connection."""

    def test_no_address_is_followed(self, server):
        """A listener whose address is in every place of a request hears nothing."""
        with socket.create_server(("127.0.0.1", 0)) as trap:
            url = f"http://127.0.0.1:{trap.getsockname()[1]}/"
            body = {
                "model": "emotion-v2",
                "url": url,
                "messages": [{"content": f"look at {url}", "externalId": url}],
                "webhook": url,
                "image_url": url,
            }
            headers = {"referer": url, "origin": url, "x-forwarded-host": url, "x-forwarded-for": url, "host": url.split("/")[2]}
            assert server.request("POST", ANALYSIS, body, headers).status == 200
            assert server.request("POST", "/v2/emotions/api7/analysis", body, headers).status == 200
            trap.setblocking(False)
            with pytest.raises(BlockingIOError):
                trap.accept()


class TestSecurityMisconfiguration:
    """API8: replies are not cached, framed or sniffed; browsers of other sites get nothing; faults tell nothing of the inside."""

    def test_headers(self, server):
        """On every reply, errors included."""
        for reply in (server.request("POST", ANALYSIS, GOOD), server.request("GET", "/nowhere"), server.request("POST", ANALYSIS, b"{")):
            assert reply.headers["cache-control"] == "no-store"
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
            assert not {"server", "x-powered-by"} & set(reply.headers)

    def test_no_cross_origin(self, server):
        """A browser's question from elsewhere gets no leave."""
        reply = server.request("OPTIONS", ANALYSIS, headers={"origin": "https://evil.example", "access-control-request-method": "POST"})
        assert not [name for name in reply.headers if name.startswith("access-control")]

    @pytest.mark.parametrize("body", [b"{", b"[" * 50_000, b"\xff\xfe", b'{"model": 1e999}', json.dumps({"model": "x' OR 1=1"}).encode()])
    def test_a_fault_tells_nothing(self, server, body):
        """No trace, no path, no statement."""
        reply = server.request("POST", ANALYSIS, body)
        assert 400 <= reply.status < 500
        assert not any(word in reply.body for word in (b"Traceback", b"kaiko_server", b"site-packages", b"SELECT", b".py"))


class TestImproperInventoryManagement:
    """API9: there is no route that the document does not know, and what has ended says so."""

    def test_what_there_is_is_described(self, server):
        """Paths that other servers of this kind forget are not here."""
        for path in (
            "/debug",
            "/admin",
            "/v2",
            "/v3/emotions",
            "/v2/internal",
            "/actuator",
            "/.env",
            "/metrics/../v2/models",
            "/docs/../.env",
        ):
            assert server.request("GET", path).status in {401, 404}

    def test_what_has_ended_says_so(self, server):
        """Version 1 answers that it has ended, and where to go."""
        reply = server.request("POST", "/v1/emotions/analysis", GOOD)
        assert (reply.status, reply.error["code"]) == (410, "api_version_sunset")


class TestUnsafeConsumptionOfAPIs:
    """API10: what another service answers is not believed because it answers."""

    @pytest.mark.anyio
    @pytest.mark.parametrize("answer", [b"nonsense\r\n", b"-ERR no\r\n", b"*-1\r\n", b"$99999999\r\n", b""])
    async def test_counters_that_talk_nonsense(self, anyio_backend, answer):  # noqa: ARG002 - makes this an anyio test
        """Something that is no Valkey counts as lost counters, and lets nobody pass or wait by what it says."""
        with socket.create_server(("127.0.0.1", 0)) as false, ThreadPoolExecutor(1) as pool:
            served = pool.submit(_answer_all, false, answer)
            counters = ValkeyCounters(f"valkey://127.0.0.1:{false.getsockname()[1]}/0")
            with pytest.raises(CountersError):
                await counters.enter(Ask("key_1", Limits(per_minute=5), "t", 1))
            await counters.close()
            false.close()
            served.result()


def _answer_all(listener, answer):
    """Answer everything with the same bytes, until the listener is closed."""
    listener.settimeout(0.6)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(0.5)
            try:
                while connection.recv(4096):
                    connection.sendall(answer)
                    if not answer:
                        break
            except OSError:
                """Gone."""
