"""The administration of keys over HTTP."""

import json
import signal

import pytest

from tests.live import Server, kaiko

KEYS = "/admin/v1/keys"
GOOD = {"model": "emotion-v2", "messages": [{"content": "hello"}]}


@pytest.fixture(scope="module")
def admin(server):
    """A way to ask as an administrator."""
    made = kaiko("keys", "create", "--scope", "admin", "--name", "administrator", "--json", data_dir=server.data_dir)
    key = json.loads(made.stdout)["key"]

    def ask(method, path, body=None, **headers):
        return server.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}, key=key)

    return ask


def test_the_life_of_a_key(server, admin):
    """Made, found, used, rotated and revoked over HTTP; its secret is told when it is made and never again; the audit knows who did it."""
    asked = {
        "project": "by-http",
        "environment": "test",
        "name": "desk",
        "scopes": ["analysis"],
        "addresses": ["127.0.0.0/8"],
        "per_minute": 9,
    }
    made = admin("POST", KEYS, asked | {"expires_in_seconds": 3600})
    assert made.status == 201
    told = made.json
    assert {name: told[name] for name in asked} == asked
    assert (told["object"], told["status"], told["hint"]) == ("key", "active", told["key"][-4:])
    assert server.request("POST", "/v2/emotions/analysis", GOOD, key=told["key"]).status == 200
    assert admin("GET", f"{KEYS}/{told['id']}").json["id"] == told["id"]
    listed = admin("GET", f"{KEYS}?project=by-http").json
    assert [one["id"] for one in listed["data"]] == [told["id"]]
    assert all("key" not in one for one in listed["data"])
    new = admin("POST", f"{KEYS}/{told['id']}/rotate", {"overlap_seconds": 0})
    assert (new.status, new.json["per_minute"], new.json["expires_at"]) == (201, 9, told["expires_at"])
    again = admin("POST", f"{KEYS}/{told['id']}/rotate", {})
    assert (again.status, again.error["code"]) == (409, "key_not_rotated")
    for _ in range(2):
        assert admin("DELETE", f"{KEYS}/{new.json['id']}").json["status"] == "revoked"
    lines = [json.loads(line) for line in kaiko("audit", "export", data_dir=server.data_dir).stdout.splitlines()]
    done = [(line["action"], line["subject"], line["address"]) for line in lines if line["actor"].startswith("key_")]
    assert done[-3:] == [
        ("key.create", told["id"], "127.0.0.1"), ("key.rotate", told["id"], "127.0.0.1"), ("key.revoke", new.json["id"], "127.0.0.1"),
    ]  # fmt: skip
    assert all(line["request_id"].startswith("req-") for line in lines if line["actor"].startswith("key_"))


@pytest.mark.parametrize(
    ("method", "path"), [("GET", KEYS), ("POST", KEYS), ("GET", f"{KEYS}/x"), ("DELETE", f"{KEYS}/x"), ("POST", f"{KEYS}/x/rotate")]
)
def test_only_for_administrators(server, method, path):
    """A key without the scope is told which one it needs, and changes nothing."""
    reply = server.request(method, path, {} if method == "POST" else None)
    assert (reply.status, reply.error["code"]) == (403, "insufficient_scope")
    assert "`admin`" in reply.error["message"]
    assert server.request(method, path, {} if method == "POST" else None, key=None).status == 401


@pytest.mark.parametrize(
    ("body", "param"),
    [({"environment": "staging"}, "environment"), ({"scopes": ["all"]}, "scopes"), ({"scopes": []}, "scopes"),
     ({"per_minute": -1}, "per_minute"), ({"per_minute": True}, "per_minute"), ({"name": 5}, "name"),
     ({"expires_in_seconds": 0}, "expires_in_seconds")],
)  # fmt: skip
def test_what_no_key_is_made_of(admin, body, param):
    """The field that is wrong is named."""
    reply = admin("POST", KEYS, body)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (422, "invalid_value", param)


def test_other_refusals(admin):
    """What has no form is refused with what it should be; unknown keys are 404; a broken body is 400."""
    assert "networks such as" in admin("POST", KEYS, {"addresses": ["10.0.0.0/99"]}).error["message"]
    assert admin("POST", KEYS, {"name": "a\x1b[2J"}).status == 422
    for method, path in (("GET", f"{KEYS}/none"), ("DELETE", f"{KEYS}/none"), ("POST", f"{KEYS}/none/rotate")):
        reply = admin(method, path, {} if method == "POST" else None)
        assert (reply.status, reply.error["code"]) == (404, "key_not_found")
    assert admin("POST", KEYS, b"{").error["code"] == "invalid_json"


def test_a_lost_answer_is_asked_for_again(admin):
    """With an idempotency key the new key is told once more, byte for byte, and no second one is made."""
    old = admin("POST", KEYS, {"project": "lost"}).json
    first = admin("POST", f"{KEYS}/{old['id']}/rotate", {}, idempotency_key="r1")
    again = admin("POST", f"{KEYS}/{old['id']}/rotate", {}, idempotency_key="r1")
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (201, first.body, "true")
    assert len(admin("GET", f"{KEYS}?project=lost").json["data"]) == 2


def test_a_rotation_survives_a_kill(tmp_path):
    """Killed after the rotation, before or after the answer left: the retry tells the same key, and there is one successor."""
    first = Server(tmp_path / "var")
    key = json.loads(kaiko("keys", "create", "--scope", "admin", "--json", data_dir=tmp_path / "var").stdout)["key"]
    old = first.request("POST", KEYS, {"project": "killed"}, key=key).json
    told = first.request("POST", f"{KEYS}/{old['id']}/rotate", {}, {"idempotency-key": "k"}, key=key)
    first.stop(signal.SIGKILL)
    second = Server(tmp_path / "var")
    assert second.request("POST", f"{KEYS}/{old['id']}/rotate", {}, {"idempotency-key": "k"}, key=key).body == told.body
    assert len(second.request("GET", f"{KEYS}?project=killed", key=key).json["data"]) == 2
    assert second.request("POST", "/v2/emotions/analysis", GOOD, key=told.json["key"]).status == 200
    second.stop()
    for place, content in second.written().items():
        assert told.json["key"].encode() not in content, place


def test_stricter_limits(tmp_path):
    """Administration has a limit of its own: it takes nothing of the key's other requests, and the other way about."""
    server = Server(tmp_path / "var", KAIKO_ADMIN_REQUESTS_PER_MINUTE=3)
    options = ("--scope", "admin", "--scope", "analysis", "--rpm", "50")
    key = json.loads(kaiko("keys", "create", *options, "--json", data_dir=tmp_path / "var").stdout)["key"]
    assert [server.request("GET", KEYS, key=key).status for _ in range(5)] == [200] * 3 + [429] * 2
    reply = server.request("POST", "/v2/emotions/analysis", GOOD, key=key)
    assert (reply.status, reply.headers["x-ratelimit-remaining"]) == (200, "49")
    server.stop()
