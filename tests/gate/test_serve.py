"""Starting and stopping: drain, exit codes, several workers, one clear line when it cannot start."""

import json
import signal
import socket
import threading

import pytest

from tests.live import Server, kaiko

ANALYSIS = "/v2/emotions/analysis"
LONG = {"model": "emotion-v2", "messages": [{"content": {"text": "It rained all day and nobody came to see me. " * 150}}] * 15}


def read_all(connection):
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_sigterm_drains(tmp_path):
    """A request in flight is answered whole, a new one meanwhile gets 503 with Retry-After, and the exit code is 0."""
    server = Server(tmp_path / "var")
    in_flight = server.send(ANALYSIS, LONG)
    server.await_in_flight(2)
    server.process.send_signal(signal.SIGTERM)
    replies = (server.request("GET", "/v2/models") for _ in range(1000))
    refused = next(r for r in replies if r.status != 200)
    assert (refused.status, refused.error["code"]) == (503, "service_unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert server.request("GET", "/healthz").status == 200
    answer = read_all(in_flight)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["messages"]) == 15
    assert server.process.wait(timeout=60) == 0


def test_a_deadline_ends_what_takes_too_long(tmp_path):
    """A request past the time limit gets 503 `timeout`, and the server answers the next one."""
    server = Server(tmp_path / "var", KAIKO_REQUEST_TIMEOUT_S="0.5")
    try:
        reply = server.request("POST", ANALYSIS, LONG)
        assert (reply.status, reply.error["code"]) == (503, "timeout")
        assert server.analyse("hello")["emotions"]["user"]["text"] == "hello"
    finally:
        assert server.stop() == 0


def test_a_body_that_comes_too_slowly_is_told_so(tmp_path):
    """Who does not send the whole body within the time limit gets 503 `timeout`, and not just a cut line."""
    server = Server(tmp_path / "var", KAIKO_REQUEST_TIMEOUT_S="0.5")
    try:
        head = f"POST {ANALYSIS} HTTP/1.1\r\nhost: x\r\nx-api-key: {server.key}\r\ncontent-length: 99\r\n\r\n{{"
        with socket.create_connection((server.host, int(server.port)), timeout=60) as connection:
            connection.sendall(head.encode())
            reply = connection.recv(65536)
            body = reply.partition(b"\r\n\r\n")[2] or connection.recv(65536)
        assert reply.startswith(b"HTTP/1.1 503 ")
        assert json.loads(body)["error"]["code"] == "timeout"
    finally:
        assert server.stop() == 0


def test_draining_has_an_end(tmp_path):
    """What is not done when the time to drain is over is told 503, and the exit code is 0 all the same."""
    server = Server(tmp_path / "var", KAIKO_DRAIN_TIMEOUT_S="0.1")
    in_flight = server.send(ANALYSIS, LONG | {"messages": LONG["messages"] * 6})
    server.await_in_flight(2)
    server.process.send_signal(signal.SIGTERM)
    answer = read_all(in_flight)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "service_unavailable"
    assert server.process.wait(timeout=60) == 0


def test_workers_do_not_outlive_their_parent(tmp_path):
    """When the parent is killed, its workers drain and end, so that the port is free again."""
    server = Server(tmp_path / "var", workers=2)
    address = (server.host, int(server.port))
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    while True:
        try:
            socket.create_server(address).close()
        except OSError:
            continue
        break


def test_a_full_queue_refuses_at_the_door(tmp_path):
    """More texts than may wait get 503 `overloaded` at once; fewer are answered."""
    server = Server(tmp_path / "var", KAIKO_QUEUE_TEXTS="3")
    try:
        reply = server.request("POST", ANALYSIS, {"model": "emotion-v2", "messages": [{"content": "ok"}] * 4})
        assert (reply.status, reply.error["code"]) == (503, "overloaded")
        assert int(reply.headers["retry-after"]) > 0
        assert len(server.analyse("a", "b", "c")["messages"]) == 3
    finally:
        assert server.stop() == 0


def test_clients_that_hang_up_leave_nothing_behind(tmp_path):
    """After many clients have gone before their answers, nothing is in flight and the next is answered: nobody's work goes on for them."""
    server = Server(tmp_path / "var")
    try:
        for _ in range(20):
            server.send(ANALYSIS, LONG).close()
        server.await_in_flight(1)
        assert 'status="499"' in server.request("GET", "/metrics").body.decode()
        assert server.analyse("hello")["emotions"]["user"]["text"] == "hello"
        server.await_in_flight(1)
    finally:
        assert server.stop() == 0


def test_several_workers_share_keys_and_stop_together(tmp_path):
    """With two workers every request is answered by one or the other, and SIGTERM ends both with 0."""
    server = Server(tmp_path / "var", workers=2)
    threads = [threading.Thread(target=server.analyse, args=("hello",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.analyse("hello")["usage"]["total_tokens"] == 3
    assert server.stop() == 0


def test_a_second_start_shows_no_key(tmp_path):
    """The first key is shown once; the data of the first run are there in the second."""
    first = Server(tmp_path / "var")
    assert first.stop() == 0
    second = Server(tmp_path / "var")
    try:
        assert second.key is None
        assert second.request("GET", "/v2/models", key=first.key).status == 200
    finally:
        second.stop()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"KAIKO_PORT": "http"}, "KAIKO_PORT"),
        ({"KAIKO_ENVIRONMENT": "production"}, "KAIKO_PEPPER"),
        ({"KAIKO_PEPPER": "short"}, "KAIKO_PEPPER"),
        ({"KAIKO_TRUSTED_PROXIES": "not an address"}, "KAIKO_TRUSTED_PROXIES"),
        ({"KAIKO_DATA_DIR": "/dev/null/var"}, "/dev/null"),
    ],
)
def test_what_cannot_start_says_why_in_a_line(tmp_path, environment, said):
    """A wrong setting ends the start with exit code 1 and one line that names it; no traceback."""
    found = kaiko("serve", **({"KAIKO_DATA_DIR": tmp_path / "var", "KAIKO_PORT": 0} | environment))
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_a_taken_port_is_said(server, tmp_path):
    """A port in use is named, with how to take another."""
    found = kaiko("serve", "--port", server.port, data_dir=tmp_path / "var")
    assert found.returncode == 1
    assert f"{server.port}" in found.stderr
    assert "KAIKO_PORT" in found.stderr
    assert "Traceback" not in found.stderr
