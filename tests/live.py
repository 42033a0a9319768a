"""A real server in a process of its own, and a client that hides nothing: what the tests over HTTP use."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

KAIKO = Path(sys.executable).with_name("kaiko")
START_WITHIN_S = 120
WITHOUT_LIMITS = {
    f"KAIKO_{name}": 0 for name in ("REQUESTS_PER_MINUTE", "CONCURRENT_REQUESTS", "ADMIN_REQUESTS_PER_MINUTE", "FAILED_KEYS_PER_MINUTE")
}
"""What the tests ask of a server is more than any one client may; those of the limits set their own."""


def clean_environment(**more):
    """The environment of this process less everything of ours, plus *more*."""
    return {k: v for k, v in os.environ.items() if not k.startswith("KAIKO_")} | {k: str(v) for k, v in more.items()}


def kaiko(*arguments, data_dir=None, stdin=None, **environment):
    """Run the real command to its end."""
    place = {"KAIKO_DATA_DIR": data_dir} if data_dir else {}
    return subprocess.run(
        [KAIKO, *arguments],
        capture_output=True,
        text=True,
        input=stdin,
        timeout=120,
        env=clean_environment(**place, **environment),
        check=False,
    )


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


class Server:
    """`kaiko serve` on a free port."""

    def __init__(self, data_dir, *, workers=1, **environment):
        self.data_dir = Path(data_dir)
        self.out, self.err = self.data_dir.with_suffix(".out"), self.data_dir.with_suffix(".err")
        with self.out.open("wb") as out, self.err.open("wb") as err:
            command = [KAIKO, "serve", "--port", "0", "--workers", str(workers), "--data-dir", self.data_dir]
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=clean_environment(**(WITHOUT_LIMITS | environment)))
        self.url, self.key = self._await_start()
        self.host, self.port = self.url.partition("://")[2].split(":")

    def _await_start(self):
        """Wait until it says where it listens; the process's own end or the limit ends the wait."""
        Thread(target=self.process.wait, daemon=True).start()  # one that has ended and that nobody waits for looks alive
        reader = subprocess.Popen(["tail", "-n", "+1", "-f", f"--pid={self.process.pid}", self.out], stdout=subprocess.PIPE, text=True)
        with reader:
            url = key = None
            for line in reader.stdout:
                url = url or ((m := re.search(r"https?://[\d.]+:\d+", line)) and m[0])
                key = key or ((m := re.search(r"kaiko_live_\w+", line)) and m[0])
                if url and (key or "Keys are there already" in line):
                    reader.kill()
                    return url, key
        message = f"the server did not start: {self.err.read_text()}"
        raise AssertionError(message)

    def request(self, method, path, body=None, headers=None, *, key=...):
        """Send one request over a connection of its own; *body* that is no bytes goes as JSON."""
        connection = http.client.HTTPConnection(self.host, int(self.port), timeout=60)
        sent = dict(headers or {})
        if key is ... and self.key and "authorization" not in {h.lower() for h in sent}:
            sent.setdefault("x-api-key", self.key)
        elif key not in (None, ...):
            sent["x-api-key"] = key
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("content-type", "application/json")
        try:
            connection.request(method, path, body=body, headers=sent)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def analyse(self, *texts, path="/v2/emotions/analysis", **more):
        """Ask for the reading of *texts*, and expect a 200."""
        reply = self.request("POST", path, {"model": "emotion-v2", "messages": [{"content": {"text": t}} for t in texts]} | more)
        assert reply.status == 200, reply.body
        return reply.json

    def send(self, path, body):
        """Send a request over a connection that is left open, and do not wait for the reply."""
        data = json.dumps(body).encode()
        lines = [
            f"POST {path} HTTP/1.1",
            "host: x",
            f"x-api-key: {self.key}",
            "content-type: application/json",
            f"content-length: {len(data)}",
        ]
        connection = socket.create_connection((self.host, int(self.port)), timeout=60)
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + data)
        return connection

    def await_in_flight(self, count):
        """Wait until *count* requests are being answered, the one that asks among them."""
        while f"kaiko_http_requests_in_flight {count}.0".encode() not in self.request("GET", "/metrics").body:
            """Not yet."""

    def raw(self, data):
        """Send bytes as they are, and give all that comes back until the server closes."""
        with socket.create_connection((self.host, int(self.port)), timeout=60) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def stop(self, how=signal.SIGTERM):
        """Send a signal and give the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=60)

    def written(self):
        """Every byte that the server wrote: both streams and every file of its data directory. Stop it first."""
        assert self.process.poll() is not None
        files = [self.out, self.err, *(p for p in sorted(self.data_dir.rglob("*")) if p.is_file())]
        return {path: path.read_bytes() for path in files}
