"""One request straight to an ASGI application, where a socket cannot say what the test needs: a peer, a fault inside."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def code(self):
        return json.loads(self.body)["error"]["code"]


async def ask(app, path="/v2/models", *, peer="127.0.0.1", headers=None):
    """Send a GET from *peer*, and give the reply as far as it came."""
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": (peer, 1), "server": ("127.0.0.1", 80), "headers": raw,
    }  # fmt: skip
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    parts = [message.get("body", b"") for message in sent if message["type"] == "http.response.body"]
    return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, b"".join(parts))
