"""`kaiko plans`, `kaiko projects plan`, `kaiko keys rotate` and `usage`, beside a running server."""

import json

from tests.live import kaiko

GOOD = {"model": "emotion-v2", "messages": [{"content": "hello"}]}


def asked(server, *words):
    done = kaiko(*words, "--json", data_dir=server.data_dir)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_plan_holds_for_the_keys_of_its_projects(server):
    """Key, plan, settings: the nearest that says something holds; a running server follows."""
    key = asked(server, "keys", "create", "--project", "planned", "--concurrent", "3")
    asked(server, "plans", "set", "small", "--rpm", "7", "--concurrent", "2")
    assert asked(server, "projects", "plan", "planned", "small")["plan"] == "small"
    assert {"name": "standard", "per_minute": 1000, "concurrent": 10, "tokens_per_month": 100000} in asked(server, "plans", "list")
    replies = (server.request("GET", "/v2/models", key=key["key"]) for _ in range(200))
    told = next(r.headers["ratelimit-policy"] for r in replies if '"minute"' in r.headers.get("ratelimit-policy", ""))
    assert told == '"minute";q=7;w=60, "concurrent";q=3;qu="concurrent-requests"'
    refused = kaiko("plans", "delete", "small", data_dir=server.data_dir)
    assert (refused.returncode, "projects have the plan" in refused.stderr) == (1, True)
    asked(server, "projects", "plan", "planned")
    assert kaiko("plans", "delete", "small", data_dir=server.data_dir).returncode == 0
    for words in (("plans", "delete", "small"), ("projects", "plan", "planned", "none-such")):
        assert "there is no plan" in kaiko(*words, data_dir=server.data_dir).stderr
    assert "as the server" not in kaiko("plans", "list", data_dir=server.data_dir).stdout


def test_a_key_is_rotated(server):
    """The new key works at once, the old one for the overlap: with none it is refused within a second."""
    old = asked(server, "keys", "create", "--name", "rotated")
    new = asked(server, "keys", "rotate", old["id"], "--overlap", "0s")
    assert server.request("POST", "/v2/emotions/analysis", GOOD, key=new["key"]).status == 200
    replies = (server.request("POST", "/v2/emotions/analysis", GOOD, key=old["key"]) for _ in range(200))
    assert next(r for r in replies if r.status != 200).error["code"] == "key_expired"
    assert "expired" in kaiko("keys", "rotate", old["id"], data_dir=server.data_dir).stderr
    assert "30 days" in kaiko("keys", "rotate", new["id"], "--overlap", "31d", data_dir=server.data_dir).stderr


def test_what_a_key_used(server):
    """Requests, texts and tokens by day, a second late at most."""
    key = asked(server, "keys", "create", "--name", "used")
    assert kaiko("keys", "usage", key["id"], data_dir=server.data_dir).stdout.strip().endswith("was not used in the last 30 days.")
    tokens = server.request("POST", "/v2/emotions/analysis", GOOD, key=key["key"]).json["usage"]["total_tokens"]
    while not (days := asked(server, "keys", "usage", key["id"])):
        """Not yet."""
    assert [(d["requests"], d["texts"], d["tokens"]) for d in days] == [(1, 1, tokens)]
    assert days[0]["day"] in kaiko("keys", "usage", key["id"], data_dir=server.data_dir).stdout
