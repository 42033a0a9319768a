"""Nothing of a text, an id, a header or a key is written anywhere: marked strings go in, every byte that comes out is searched."""

import signal

import pytest

from tests.live import Server

CONTEXT = "/v2/emotions/a-talk/analysis"
ROUTES = ("/v2/emotions/analysis", "/v2/emotions/batch-analysis", CONTEXT)


def mark(where):
    """A string that stands nowhere else, and says where it was put."""
    return f"zq{where}canaryzq"


def throw_at(server):
    """Send marked strings through every route, in every place of a request, good and broken."""
    say = server.request
    for route in ROUTES:
        # A context is asked for by its client's names, so these are kept; nothing else is.
        name = "m1" if route == CONTEXT else mark("externalid")
        text = {"content": {"text": f"I am {mark('text')} and so happy"}, "externalId": name, "role": "user"}
        say(
            "POST",
            route,
            {"model": "emotion-v2", "messages": [text], mark("field"): mark("value"), "params": {mark("param"): mark("paramvalue")}},
        )
        insight = [
            {"content": f"I want to die, {mark('danger')}. You are a worthless {mark('insult')}. I believe {mark('belief')} always wins."},
            {"content": f"I am so afraid of {mark('long')}. And it rained in the harbour again. " * 40},
        ]
        say("POST", route, {"model": "emotion-v2", "messages": insight, "params": {"explain": True}})
        say("POST", route, {"model": mark("model"), "messages": [text]})
        say("POST", route, {"model": "emotion-v2", "messages": [text | {"role": mark("role")}]})
        say("POST", route, {"model": "emotion-v2", "messages": [text | {"timestamp": mark("timestamp")}]})
        say("POST", route, {"model": "emotion-v2", "messages": [{"content": mark("plain") * 1000}]})
        say("POST", route, f'{{"model": "emotion-v2", "messages": "{mark("broken")}'.encode())
        say("POST", route, f"[{mark('array')}".encode() * 100)
        say("POST", route, mark("media").encode(), {"content-type": f"text/{mark('mediatype')}"})
        say("POST", route, mark("huge").encode() * 200_000)
        say("POST", f"{route}?{mark('query')}={mark('queryvalue')}", {"model": "emotion-v2", "messages": [text]})
        say("POST", route, {"model": "emotion-v2", "messages": [text]}, key=mark("key"))
        say("POST", route, {"model": "emotion-v2", "messages": [text]}, {"authorization": f"Bearer {mark('bearer')}"}, key=None)
        say("POST", route, {"model": "emotion-v2", "messages": [text]}, {"authorization": f"{mark('scheme')} x"})
        say(mark("method").upper(), route)
        names = (
            "x-client-request-id",
            "user-agent",
            "cookie",
            "referer",
            "x-forwarded-for",
            "x-request-id",
            "accept-language",
            "idempotency-key",
        )
        say("POST", route, {"model": "emotion-v2", "messages": [text]}, {name: f"{mark('header')} {name}" for name in names})
        say("POST", route, {"model": "emotion-v2", "messages": [{"content": {"text": f"\ud83d {mark('surrogate')}"}}]})
    for path in ("", "/message/m1", "/export", "/message/" + mark("nomessage")):
        assert say("GET", f"/v2/emotions/a-talk{path}").status == (404 if "canary" in path else 200)
    for path in ("/v1", "/v2/emotions", "/docs", "/healthz", "/metrics", "/openapi.json", ""):
        say("GET", f"{path}/{mark('path')}/message/{mark('message')}?{mark('query')}")
        say("DELETE", f"{path}/{mark('path')}")
    server.raw(f"{mark('nothttp')}\r\n\r\n".encode())
    server.raw(f"POST {ROUTES[0]} HTTP/1.1\r\nhost: x\r\n{mark('badheader')}\r\n\r\n".encode())
    server.raw(f"POST {ROUTES[0]} HTTP/1.1\r\nhost: x\r\nx-api-key: {server.key}\r\ncontent-length: 99\r\n\r\n{mark('cut')}".encode())


def leave_one_in_flight(server):
    """Send a long request and leave it running."""
    body = {"model": "emotion-v2", "messages": [{"content": {"text": f"{mark('inflight')} and it rained. " * 250}}] * 100}
    connection = server.send(ROUTES[0], body)
    server.await_in_flight(2)
    return connection


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGABRT])
def test_nothing_of_a_request_is_written(tmp_path, how):
    """No file, no log line and no metric holds a marked string or the key that was used.

    At debug level, after every kind of request, and after an orderly end, a kill and a crash in the middle of one.
    """
    server = Server(tmp_path / "var", KAIKO_LOG_LEVEL="debug", KAIKO_DRAIN_TIMEOUT_S="1")
    throw_at(server)
    metrics = server.request("GET", "/metrics").body
    with leave_one_in_flight(server):
        server.stop(how)
    written = server.written() | {"metrics": metrics}
    assert len(written[server.err]) > 1000, "the log was searched, so there must be one"
    for place, content in written.items():
        assert b"canaryzq" not in content.lower(), place
        if place != server.out:  # where the key is shown once, to the person who started the server
            assert server.key.encode() not in content, place
            assert server.key[11:43].encode() not in content, place


def test_the_search_would_find_it(tmp_path):
    """The net has no hole: what the server is meant to log, a well-formed id of the client, is found by the same search."""
    server = Server(tmp_path / "var", KAIKO_LOG_LEVEL="debug")
    server.request("GET", "/healthz", headers={"x-client-request-id": "zqwellformedcanaryzq"})
    server.stop()
    assert any(b"canaryzq" in content for content in server.written().values())
