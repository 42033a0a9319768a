"""Retries over real sockets: one effect and the same bytes, whatever happens to the server meanwhile."""

import http.client
import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest

from kaiko_server.store.postgres import PostgresDatabase
from tests.live import Server, kaiko

pytestmark = pytest.mark.anyio
ROUTES = ("/v2/emotions/analysis", "/v2/emotions/batch-analysis", "/v2/emotions/once/analysis")
BODY = {"model": "emotion-v2", "messages": [{"content": "I got the job! I can't stop smiling."}, {"content": "You are a pathetic idiot."}]}


def ask(server, path, body=BODY, key=..., *, name, **headers):
    return server.request("POST", path, body, {"idempotency-key": name} | headers, key=key)


def fresh(path):
    """The same route; of contexts one that nobody has used."""
    return path.replace("/once/", f"/{uuid4()}/")


@pytest.mark.parametrize("path", ROUTES)
def test_in_sequence(server, path):
    """A retry is told the same bytes, marked as such, without an effect of its own and without a charge; bare and quoted keys are one."""
    path, name = fresh(path), str(uuid4())
    first = ask(server, path, name=name)
    assert (first.status, "idempotent-replayed" in first.headers) == (200, False)
    for again in (ask(server, path, name=name), ask(server, path, name=f'"{name}"')):
        assert (again.status, again.body) == (200, first.body)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
    if "batch" not in path and path != ROUTES[0]:
        assert first.json["context_message_count"] == 2
        assert server.request("GET", path.removesuffix("/analysis")).json["context_message_count"] == 2


def test_the_same_bytes_in_a_crowd(server):
    """What others ask for at the same time changes no digit of a reply that is computed again, long texts and evidence included."""
    long = {"content": "I was so happy. " * 90 + "Then everything went wrong and I cried."}
    body = {"model": "emotion-v2", "params": {"explain": True, "granularity": "detailed"}, "messages": [*BODY["messages"], long] * 3}
    name = str(uuid4())
    first = ask(server, ROUTES[0], body, name=name)
    with ThreadPoolExecutor(8) as crowd:
        noise = [crowd.submit(server.analyse, f"Some other text, number {n}, " + "and more of it " * (n % 9)) for n in range(60)]
        replies = [ask(server, ROUTES[0], body, name=name) for _ in range(6)]
        for one in noise:
            one.result()
    assert {r.body for r in replies} == {first.body}


def test_fifty_at_once(server):
    """One of fifty runs; the others are told to wait, or what it was told; the context counts it once."""
    path, name = fresh(ROUTES[2]), str(uuid4())
    with ThreadPoolExecutor(50) as clients:
        replies = list(clients.map(lambda _: ask(server, path, name=name), range(50)))
    assert {r.status for r in replies} <= {200, 409}
    assert len({r.body for r in replies if r.status == 200}) == 1
    assert {r.error["code"] for r in replies if r.status == 409} <= {"idempotency_in_progress"}
    assert all(r.headers["retry-after"] == "1" for r in replies if r.status == 409)
    assert server.request("GET", path.removesuffix("/analysis")).json["context_message_count"] == 2


@pytest.mark.parametrize("path", ROUTES)
def test_other_body_other_project_other_path(server, path):
    """Another body is refused; another project and another path have replies of their own."""
    path, name = fresh(path), str(uuid4())
    first = ask(server, path, name=name)
    other = {"model": "emotion-v2", "messages": [{"content": "I miss her so much."}]}
    reused = ask(server, path, other, name=name)
    assert (reused.status, reused.error["code"]) == (422, "idempotency_key_reused")
    project = json.loads(kaiko("keys", "create", "--project", "another", "--json", data_dir=server.data_dir).stdout)["key"]
    theirs = ask(server, path, other, project, name=name)
    assert (theirs.status, "idempotent-replayed" in theirs.headers) == (200, False)
    elsewhere = ask(server, fresh("/v2/emotions/once/analysis"), other, name=name)
    assert (elsewhere.status, "idempotent-replayed" in elsewhere.headers) == (200, False)
    assert ask(server, path, name=name).body == first.body
    assert theirs.body != first.body


@pytest.mark.parametrize(("name", "status"), [("x" * 255, 200), ("x" * 256, 400), ("caf\u00e9", 400), ('""', 400), ("a b~!", 200)])
def test_keys_that_are_none(server, name, status):
    """1 to 255 printable ASCII characters; what is refused has had no effect."""
    path = fresh(ROUTES[2])
    reply = ask(server, path, name=name.encode("latin-1"))
    assert reply.status == status
    if status == 400:
        assert reply.error["code"] == "invalid_idempotency_key"
        assert server.request("GET", path.removesuffix("/analysis")).status == 404


def test_what_failed_runs_again(server):
    """A request that was refused is not remembered: mended or not, its retry is looked at anew. A conflict is, byte for byte."""
    name = str(uuid4())
    assert ask(server, ROUTES[0], {"model": "emotion-v2"}, name=name).status == 400
    assert ask(server, ROUTES[0], name=name).status == 200
    path, name = fresh(ROUTES[2]), str(uuid4())
    for text in ("one", "two"):
        body = {"model": "emotion-v2", "messages": [{"content": text, "externalId": "m"}]}
        reply = ask(server, path, body, name=f"{name}-{text}")
    assert (reply.status, reply.error["code"]) == (409, "duplicate_id")
    again = ask(server, path, body, name=f"{name}-two")
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (409, reply.body, "true")


def test_erased_with_the_context(server):
    """After `DELETE` no reply about the context is left; the key is new."""
    path, name = fresh(ROUTES[2]), str(uuid4())
    ask(server, path, name=name)
    server.request("DELETE", path.removesuffix("/analysis"))
    assert "idempotent-replayed" not in ask(server, path, name=name).headers


def test_a_reply_costs_no_tokens_twice(tmp_path):
    """Replayed or computed again, a retry is not charged."""
    server = Server(tmp_path / "var")
    key = json.loads(kaiko("keys", "create", "--tokens-per-month", "100000", "--json", data_dir=tmp_path / "var").stdout)["key"]

    def left(reply):
        return int(reply.headers["ratelimit"].split('"tokens";r=')[1].split(";")[0])

    for path in ROUTES:
        ask(server, path, key=key, name="k")
        before = left(server.request("GET", "/v2/models", key=key))
        assert ask(server, path, key=key, name="k").headers["idempotent-replayed"] == "true"
        assert left(server.request("GET", "/v2/models", key=key)) == before
    server.stop()


def until_final(server, path, name, key):
    """Retry as a client does, until the answer is final."""
    while (reply := ask(server, path, key=key, name=name)).status in {409, 503}:
        """Not yet."""
    return reply


@pytest.mark.parametrize("after", ["nothing", "claim", "effect"])
@pytest.mark.parametrize("path", ROUTES)
async def test_killed_on_the_way(database_settings, tmp_path, path, after):
    """Killed before the claim, after it, or after the effect: the retry ends with one effect, and from then on the same bytes."""
    url = database_settings.database_url
    environment = {"KAIKO_PEPPER": "p" * 32} | ({"KAIKO_DATABASE_URL": url} if url else {})
    first = Server(tmp_path / "var", **environment)
    name, kept, run = str(uuid4()), None, kaiko_sql(database_settings, tmp_path / "var")
    with ThreadPoolExecutor(1) as client:
        if after == "effect":
            kept = ask(first, path, name=name)
        else:
            many = {"model": "emotion-v2", "messages": BODY["messages"] * 50}
            running = client.submit(ask, first, path, many if after == "claim" else BODY, name=name)
            while after == "claim" and not await run("SELECT id FROM tickets"):
                """Not yet."""
        first.stop(signal.SIGKILL)
        if after != "effect" and not isinstance(error := running.exception(), (OSError, http.client.HTTPException, type(None))):
            raise error
    second = Server(tmp_path / "var", **environment)
    if after == "claim":  # a minute passes
        await run("UPDATE tickets SET leased_until = 0")
    body = many if after == "claim" else BODY
    second.key = first.key
    while (final := ask(second, path, body, name=name)).status in {409, 503}:
        """Not yet."""
    assert final.status == 200
    if kept is not None:
        assert (final.body, final.headers["idempotent-replayed"]) == (kept.body, "true")
    assert ask(second, path, body, name=name).body == final.body
    if path == ROUTES[2]:
        count = second.request("GET", path.removesuffix("/analysis")).json["context_message_count"]
        assert count == final.json["context_message_count"] == len(body["messages"])
    second.stop()


def kaiko_sql(settings, data_dir):
    """A way to run one statement on the database beside the server."""

    async def run(sql):
        if settings.database_url:
            db = await PostgresDatabase.open(settings.database_url)
            try:
                return await db.write(lambda c: c.fetch(sql))
            finally:
                await db.close()
        # In a process of its own: closing a file here would drop the locks that SQLite has on it.
        code = f"import apsw, json; print(json.dumps(list(apsw.Connection({str(data_dir / 'kaiko.db')!r}).execute({sql!r})), default=repr))"
        return json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)

    return run


async def test_stopped_for_longer_than_its_lease(postgres, tmp_path):
    """A server that was stopped in the middle and goes on when another has answered: it keeps no effect, and tells nobody another body."""
    environment = {"KAIKO_DATABASE_URL": await postgres.fresh(), "KAIKO_PEPPER": "p" * 32}
    slow, fast = (Server(tmp_path / name, **environment) for name in ("slow", "fast"))
    key = json.loads(kaiko("keys", "create", "--json", **environment).stdout)["key"]
    body, path = {"model": "emotion-v2", "messages": BODY["messages"] * 50}, ROUTES[2]
    db = await PostgresDatabase.open(environment["KAIKO_DATABASE_URL"])
    with ThreadPoolExecutor(1) as client:
        running = client.submit(ask, slow, path, body, key, name="k")
        while not await db.read(lambda c: c.fetch("SELECT * FROM tickets")):
            """Not yet."""
        slow.process.send_signal(signal.SIGSTOP)
        assert ask(fast, path, body, key, name="k").error["code"] == "idempotency_in_progress"
        await db.write(lambda c: c.execute("UPDATE tickets SET leased_until = 0"))  # a minute passes
        final = ask(fast, path, body, key, name="k")
        assert final.status == 200
        slow.process.send_signal(signal.SIGCONT)
        late = running.result()
    assert (late.status, late.error["code"]) == (409, "idempotency_in_progress")
    assert ask(slow, path, body, key, name="k").body == final.body
    assert fast.request("GET", path.removesuffix("/analysis"), key=key).json["context_message_count"] == 100
    await db.close()
    for server in (slow, fast):
        server.stop()


@contextmanager
def locked(data_dir):
    """Another process holds the database's write lock."""
    code = f"""
import apsw, sys
connection = apsw.Connection({str(data_dir / "kaiko.db")!r})
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with holder:
        yield
        holder.stdin.close()


@contextmanager
def full(server):
    """No file of the server can grow any more."""
    half = max(path.stat().st_size for path in server.data_dir.iterdir()) // 2

    def limit(size):
        subprocess.run(["prlimit", "--pid", str(server.process.pid), f"--fsize={size}:unlimited"], check=True)

    limit(half)
    try:
        yield
    finally:
        limit("unlimited")


@pytest.mark.parametrize("trouble", ["locked", "full"])
def test_a_database_in_trouble(tmp_path, trouble):
    """While nothing can be written a request with a key is refused with 503 and has no effect; its retry works when the trouble is over."""
    server = Server(tmp_path / "var")
    assert ask(server, ROUTES[2], name="before").status == 200
    with locked(server.data_dir) if trouble == "locked" else full(server):
        refused = ask(server, ROUTES[2], name="k")
        assert (refused.status, refused.error["code"]) == (503, "service_unavailable")
        assert server.request("POST", ROUTES[0], BODY).status == 200
    final = until_final(server, ROUTES[2], "k", ...)
    assert (final.status, final.json["context_message_count"]) == (200, 4)
    assert ask(server, ROUTES[2], name="k").body == final.body
    server.stop()
