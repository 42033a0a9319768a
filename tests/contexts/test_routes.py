"""The context routes over HTTP, against the contract's sections 2 and 8."""

import http.client
import json
import os
import random
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import quote

import pytest

from kaiko_server.store.opening import open_database
from kaiko_server.store.postgres import PostgresDatabase
from kaiko_server.store.sqlite import SqliteDatabase
from tests.live import Server, kaiko
from tests.trajectory.recomputed import check_sums

HELLO = {"model": "emotion-v2", "messages": [{"content": "hello", "externalId": "m1"}]}


def at(name, rest=""):
    return f"/v2/emotions/{quote(name, safe='')}{rest}"


@pytest.mark.parametrize("name", ["user-42", "a/b", "käthe 😀", "%2F", "a%b", "..", "a?b#c", " ", "\0", "x" * 128, "ö" * 64, "analysis/"])
def test_any_name_is_its_own_context(server, name):
    """1 to 128 bytes of UTF-8, percent-encoded, slashes included: each is a context of its own, on every route."""
    reply = server.request("POST", at(name, "/analysis"), HELLO)
    assert reply.status == 200, reply.body
    assert (reply.json["context_id"], reply.json["context_message_count"]) == (name, 1)
    for path in ("", "/message/m1", "/export", "/trajectory"):
        assert server.request("GET", at(name, path)).json["context_id"] == name
    gone = server.request("DELETE", at(name))
    assert (gone.status, gone.body) == (204, b"")
    assert server.request("GET", at(name)).error["code"] == "context_not_found"


@pytest.mark.parametrize(
    "segment",
    ["x" * 129, "%C3", "%ff%fe", *("analysis", "batch-analysis", "analyse", "batch-analyse", "message", "models")],
)
@pytest.mark.parametrize(
    ("method", "rest"),
    [("POST", "/analysis"), ("GET", ""), ("GET", "/export"), ("GET", "/trajectory"), ("GET", "/message/m1"), ("DELETE", "")],
)
def test_names_that_are_refused(server, segment, method, rest):
    """Too long, not UTF-8, or a word of the routes: 422 `invalid_context_id`, and `param` says what."""
    reply = server.request(method, f"/v2/emotions/{segment}{rest}", HELLO if method == "POST" else None)
    assert reply.status == 422, reply.body
    assert (reply.error["code"], reply.error["param"]) == ("invalid_context_id", "context_id")


def test_an_encoded_name_is_the_same_name(server):
    """However a name is percent-encoded, it is the same context."""
    server.request("POST", "/v2/emotions/p%6Cain/analysis", HELLO)
    assert server.request("GET", "/v2/emotions/plain").json["context_id"] == "plain"
    assert server.request("GET", "/v2/emotions/%70lain/message/%6d1").status == 200


def test_a_slash_in_an_external_id(server):
    """An external id may hold a slash as well."""
    asked = {"model": "emotion-v2", "messages": [{"content": "hello", "externalId": "a/b"}]}
    server.request("POST", at("slashes", "/analysis"), asked)
    assert server.request("GET", at("slashes", "/message/a%2Fb")).json["metadata"]["message_id"] == "a/b"
    assert server.request("GET", at("slashes", "/message/a/b")).error["code"] == "route_not_found"
    assert server.request("GET", at("slashes", "/message/%FF")).error["code"] == "message_not_found"


@pytest.mark.parametrize(
    ("method", "rest"),
    [("POST", "/analysis"), ("GET", ""), ("GET", "/export"), ("GET", "/trajectory"), ("GET", "/message/m1"), ("DELETE", "")],
)
def test_a_key_is_needed(server, method, rest):
    """No context without a key, whatever its name."""
    for name in ("x", "analysis", "%FF"):
        reply = server.request(method, f"/v2/emotions/{name}{rest}", HELLO if method == "POST" else None, key=None)
        assert reply.error["code"] == "invalid_api_key"


def test_contexts_belong_to_project_and_environment(server):
    """Over HTTP too, a key of another environment or project sees another context under the same id, and erases nothing of ours."""
    server.request("POST", at("mine", "/analysis"), HELLO)
    for wish in (["--environment", "test"], ["--project", "another"]):
        made = json.loads(kaiko("keys", "create", "--json", *wish, data_dir=server.data_dir).stdout)
        for path in ("", "/message/m1", "/export", "/trajectory"):
            assert server.request("GET", at("mine", path), key=made["key"]).error["code"] == "context_not_found"
        assert server.request("DELETE", at("mine"), key=made["key"]).status == 204
    assert server.request("GET", at("mine")).json["context_message_count"] == 1


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=-1", "after=1e3", "limit=", "after=99999999999999999999"])
def test_pages_that_are_refused(server, query):
    """`after` and `limit` are whole numbers in their range; what is wrong is named."""
    server.request("POST", at("pages", "/analysis"), HELLO)
    reply = server.request("GET", at("pages", f"/export?{query}"))
    assert (reply.status, reply.error["param"]) == (422, query.split("=")[0])


SAID = ("2026-03-01T09:00:00Z", "2026-03-01T09:30:00Z", "2026-03-01T10:00:00Z", "2026-03-02T10:00:00+02:00", "2026-03-02T23:00:00Z")


@pytest.fixture(scope="module")
def arc(tmp_path_factory):
    """A server whose points live long, and a context that was told of two days in March."""
    running = Server(tmp_path_factory.mktemp("arc") / "var", KAIKO_CONTEXT_POINTS_DAYS="3650")
    messages = [{"content": f"I'm so happy, day {n}!", "timestamp": at} for n, at in enumerate(SAID)]
    running.reply = running.request("POST", at("arc", "/analysis"), {"model": "emotion-v2", "messages": messages}).json
    yield running
    running.stop()


def points(server, query=""):
    reply = server.request("GET", at("arc", f"/trajectory{query}"))
    assert reply.status == 200, reply.body
    return reply.json


def test_the_arc_of_a_conversation(arc):
    """A context's reply tells baseline, trend, momentum and similar moments; growth needs two months."""
    told = arc.reply["trajectory"]
    assert told["baseline"]["dataPointCount"] == 4
    assert told["baseline"]["dominantEmotions"] == {"joy": 1.0}
    assert (told["trend"]["direction"], told["breakthrough"]) == ("stable", {"detected": False})
    assert told["momentum"]["dataPointCount"] == 2
    assert len(told["similarMoments"]["moments"]) == 4
    assert "growth" not in arc.reply
    week = arc.request("POST", at("week", "/analysis"), HELLO | {"params": {"window": "week"}}).json
    assert (week["trajectory"]["baseline"]["window"], week["params"]) == ("week", {"window": "week"})
    assert "breakthrough" not in week["trajectory"]


def test_points_for_plots(arc):
    """Points come oldest first, between `from` and `to`, a page at a time."""
    moments = [p["timestamp"] for p in points(arc)["points"]]
    assert moments == [*SAID[:3], "2026-03-02T08:00:00Z", SAID[4]]
    assert [p["timestamp"] for p in points(arc, "?from=2026-03-01T09:30:00Z&to=2026-03-02T08:00:00Z")["points"]] == moments[1:3]
    seen, query = [], "?limit=2"
    while True:
        page = points(arc, query)
        seen += [p["timestamp"] for p in page["points"]]
        if "next" not in page:
            break
        query = f"?limit=2&after={page['next']}"
    assert seen == moments


def test_sums_for_plots(arc):
    """Hours and days add up to the same points, and page as points do."""
    hours, days = points(arc, "?bucket=hour")["buckets"], points(arc, "?bucket=day")["buckets"]
    assert [(b["start"], b["dataPointCount"]) for b in days] == [("2026-03-01T00:00:00Z", 3), ("2026-03-02T00:00:00Z", 2)]
    assert [b["dataPointCount"] for b in hours] == [2, 1, 1, 1]
    first = points(arc, "?bucket=hour&limit=3")
    rest = points(arc, f"?bucket=hour&limit=3&after={first['next']}")
    assert first["buckets"] + rest["buckets"] == hours
    assert "next" not in rest


@pytest.mark.parametrize("query", ["from=yesterday", "to=", "bucket=week", "after=x", "after=1", "limit=0"])
def test_trajectories_that_are_refused(arc, query):
    """What is wrong with a query is named."""
    reply = arc.request("GET", at("arc", f"/trajectory?{query}"))
    assert (reply.status, reply.error["code"], reply.error["param"]) == (422, "invalid_value", query.split("=")[0])


def test_a_conversation_survives_the_server(tmp_path):
    """What was acknowledged is there after a kill, and what was erased is in no file after the server has ended."""
    first = Server(tmp_path / "var")
    for name in ("kept", "erased-and-not-to-be-found"):
        assert first.request("POST", at(name, "/analysis"), HELLO).status == 200
    first.stop(signal.SIGKILL)
    second = Server(tmp_path / "var", KAIKO_LOG_LEVEL="debug")
    second.key = first.key
    assert second.request("GET", at("kept")).json["context_message_count"] == 1
    second.request("DELETE", at("erased-and-not-to-be-found"))
    metrics = second.request("GET", "/metrics").body
    second.stop()
    for place, content in (second.written() | {"metrics": metrics}).items():
        assert b"erased-and-not" not in content, place
        assert b"kept" not in content or place.name == "kaiko.db", place


def test_nothing_is_left_in_the_file(tmp_path):
    """After `DELETE` and `kaiko compact`, beside the running server, no byte of the context's name is in any file."""
    running = Server(tmp_path / "var")
    for n in range(20):
        asked = {"model": "emotion-v2", "messages": [{"content": "I'm so proud of you.", "externalId": f"zqnamezq-{n}"}]}
        assert running.request("POST", at("zqcontextzq", "/analysis"), asked).status == 200
    assert running.request("DELETE", at("zqcontextzq")).status == 204
    done = kaiko("compact", data_dir=tmp_path / "var")
    assert done.returncode == 0, done.stderr
    # In a process of its own: closing a file here would drop the locks that SQLite has on it.
    found = subprocess.run(["grep", "-rlaE", "zqcontextzq|zqnamezq", tmp_path / "var"], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert running.request("POST", at("zqcontextzq", "/analysis"), HELLO).json["context_message_count"] == 1
    assert subprocess.run(["grep", "-rlaE", "zqcontextzq", tmp_path / "var"], capture_output=True, text=True, check=False).stdout
    running.stop()


def test_a_second_server_on_one_folder_is_refused(server):
    """Two servers on one data directory: the second says so in one line, and how several can share; the command line works beside it."""
    refused = kaiko("serve", "--port", "0", data_dir=server.data_dir)
    assert refused.returncode == 1
    assert "another server runs on" in refused.stderr
    assert "KAIKO_DATABASE_URL" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert kaiko("keys", "list", data_dir=server.data_dir).returncode == 0


MESSAGES = int(os.environ.get("KAIKO_TEST_CROWD", "25"))
"""That each of the eight clients sends; a thousand take a quarter of an hour."""


def talk(server, key, client, count):
    """Send *count* messages one after the other, many late, some hostile; give the ids of those that were acknowledged.

    Ends when the server is gone.
    """
    kept, now, chance = [], datetime.now(UTC), random.Random(str(client))
    for n in range(count):
        name = f"{client}-{n}"
        said = chance.choice(("I'm so proud of you.", "You are a pathetic idiot and I despise you.", "I miss her so much.", "hello"))
        message = {"content": said, "externalId": name}
        if chance.random() < 0.5:
            message["timestamp"] = (now - timedelta(minutes=chance.randrange(3000))).isoformat()
        asked = {"model": "emotion-v2", "messages": [message]}
        try:
            if server.request("POST", at("crowd", "/analysis"), asked, key=key).status == 200:
                kept.append(name)
        except (OSError, http.client.HTTPException):
            break
    return kept


def everything(server, key):
    """The context's count and all its messages' ids, page by page; what depends on their order is told as their order says."""
    names, after = [], 0
    while True:
        page = server.request("GET", at("crowd", f"/export?after={after}&limit=100"), key=key).json
        names += [m["externalId"] for m in page["messages"]]
        if "next" not in page:
            break
        after = page["next"]
    said = page["conversation"]
    assert [(s["at"], s["number"]) for s in said] == sorted((s["at"], s["number"]) for s in said)
    for before, after in pairwise(said):
        assert after["streak"] == (before["streak"] + 1 if after["hostility"] >= 0.3 else 0)
    assert page["emotions"]["user"]["hostilityState"]["escalationCount"] == said[-1]["streak"]
    return page["context_message_count"], names


@pytest.mark.anyio
async def test_two_servers_lose_nothing(postgres, tmp_path):
    """Eight clients write to one context through two servers on one PostgreSQL: every message is there once."""
    environment = {"KAIKO_DATABASE_URL": await postgres.fresh(), "KAIKO_PEPPER": "a pepper that both servers are given, 32+"}
    servers = [Server(tmp_path / name, **environment) for name in ("one", "two")]
    try:
        key = json.loads(kaiko("keys", "create", "--json", **environment).stdout)["key"]
        with ThreadPoolExecutor(8) as clients:
            kept = list(clients.map(lambda k: talk(servers[k % 2], key, k, MESSAGES), range(8)))
        assert [len(names) for names in kept] == [MESSAGES] * 8
        count, names = everything(servers[0], key)
        assert count == len(names) == 8 * MESSAGES
        assert set(names) == {name for some in kept for name in some}
    finally:
        for server in servers:
            server.stop()
    db = await PostgresDatabase.open(environment["KAIKO_DATABASE_URL"])
    assert await check_sums(db) == 8 * MESSAGES
    await db.close()


@pytest.mark.anyio
async def test_a_crowd_beside_the_command_line(tmp_path):
    """Eight clients write to one context of one server while the command line makes keys in the same database: nothing is lost."""
    server = Server(tmp_path / "var")
    with ThreadPoolExecutor(8) as clients:
        running = [clients.submit(talk, server, server.key, k, MESSAGES) for k in range(8)]
        while not all(future.done() for future in running):
            assert kaiko("keys", "create", "--project", "beside", data_dir=server.data_dir).returncode == 0
    kept = {name for future in running for name in future.result()}
    count, names = everything(server, server.key)
    server.stop()
    assert len(kept) == len(names) == count == 8 * MESSAGES
    assert kept == set(names)
    db = await SqliteDatabase.open(tmp_path / "var")
    assert await check_sums(db) == count
    await db.close()


@pytest.mark.anyio
@pytest.mark.parametrize("after", [20, 90])
async def test_what_was_acknowledged_survives_a_kill(database_settings, tmp_path, after):
    """A server killed in the middle of eight clients' messages has kept each that it acknowledged, none twice, and sums that fit."""
    url = database_settings.database_url
    environment = {"KAIKO_PEPPER": "a pepper that both servers are given, 32+"} | ({"KAIKO_DATABASE_URL": url} if url else {})
    first = Server(tmp_path / "var", **environment)
    with ThreadPoolExecutor(9) as clients:
        running = [clients.submit(talk, first, first.key, k, 1000) for k in range(8)]
        while first.request("GET", at("crowd")).json.get("context_message_count", 0) < after:
            """Not yet."""
        first.stop(signal.SIGKILL)
        kept = [name for future in running for name in future.result()]
    second = Server(tmp_path / "var", **environment)
    count, names = everything(second, first.key)
    assert len(names) == len(set(names)) == count
    assert set(kept) <= set(names)
    assert len(kept) >= after - 8  # each client may not have heard of its last
    second.stop()
    db = await open_database(replace(database_settings, data_dir=tmp_path / "var"))
    assert await check_sums(db) == count
    await db.close()


def test_nothing_is_left_of_what_expired(tmp_path):
    """When state and points have expired and were swept, `kaiko compact` leaves no byte of the context's names in any file."""
    short = {"KAIKO_CONTEXT_TTL_HOURS": 0.0003, "KAIKO_CONTEXT_POINTS_DAYS": 0.00001}
    running = Server(tmp_path / "var", **short)
    asked = {"model": "emotion-v2", "messages": [{"content": "hello", "externalId": "zqnamezq"}]}
    assert running.request("POST", at("zqcontextzq", "/analysis"), asked).status == 200
    while running.request("GET", at("zqcontextzq")).status != 404:
        """Not yet."""
    running.stop()
    again = Server(tmp_path / "var", **short)  # it sweeps when it starts
    while b'"swept"' not in again.err.read_bytes():
        """Not yet."""
    assert kaiko("compact", data_dir=tmp_path / "var").returncode == 0
    again.stop()
    found = subprocess.run(["grep", "-rlaE", "zqcontextzq|zqnamezq", tmp_path / "var"], capture_output=True, text=True, check=False)
    assert found.stdout == ""
