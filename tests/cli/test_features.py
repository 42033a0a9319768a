"""`kaiko features` and `kaiko projects region`, beside a running server."""

import json

import pytest

from tests.live import kaiko

SAID = {"model": "emotion-v2", "messages": [{"content": "I believe in hard work, and I am so proud of you."}]}
EXPLAINED = SAID | {"params": {"explain": True}}


@pytest.fixture(scope="module")
def asked(server):
    """A way to ask as a project of its own, and to wait until the running server knows better."""
    made = kaiko("keys", "create", "--project", "exported", "--json", data_dir=server.data_dir)
    key = json.loads(made.stdout)["key"]

    def ask(method, path, body=None, until=lambda _: True):
        replies = (server.request(method, path, body, key=key) for _ in range(5000))
        return next(reply for reply in replies if until(reply))

    return ask


@pytest.mark.parametrize(
    ("kind", "feature", "method", "path", "body"),
    [("project", "batch", "POST", "/v2/emotions/batch-analysis", SAID), ("plan", "batch", "POST", "/v2/emotions/batch-analysis", SAID),
     ("region", "contexts", "POST", "/v2/emotions/c/analysis", SAID), ("project", "contexts", "GET", "/v2/emotions/c", None),
     ("plan", "trajectory", "GET", "/v2/emotions/c/trajectory", None), ("region", "explain", "POST", "/v2/emotions/analysis", EXPLAINED)],
)  # fmt: skip
def test_what_is_asked_for_and_denied(server, asked, kind, feature, method, path, body):
    """It is refused by name, for the project, its plan and its region alike, until it is allowed again; other projects have it."""
    name = {"project": "exported", "plan": "standard", "region": "Atlantis"}[kind]
    for words in (("projects", "plan", "exported", "standard"), ("projects", "region", "exported", "Atlantis")):
        assert kaiko(*words, data_dir=server.data_dir).returncode == 0
    assert kaiko("features", "deny", feature, f"--{kind}", name, data_dir=server.data_dir).returncode == 0
    refused = asked(method, path, body, until=lambda reply: reply.status == 403)
    assert refused.error["code"] == "feature_restricted"
    assert f"`{feature}`" in refused.error["message"]
    assert server.request(method, path, body).status in {200, 404}
    assert kaiko("features", "allow", feature, f"--{kind}", name, data_dir=server.data_dir).returncode == 0
    asked(method, path, body, until=lambda reply: reply.status in {200, 404})


@pytest.mark.parametrize("feature", ["beliefs", "trajectory", "patterns"])
def test_blocks_that_are_denied_are_left_out(server, asked, feature):
    """A block of a reply is no reason to refuse it: it is left out, here and in the state."""
    path = f"/v2/emotions/blocks-{feature}/analysis"
    assert feature in asked("POST", path, SAID).json
    kaiko("features", "deny", feature, "--project", "exported", data_dir=server.data_dir)
    reply = asked("POST", path, SAID, until=lambda reply: feature not in reply.json)
    assert reply.status == 200
    assert feature not in asked("GET", path.removesuffix("/analysis")).json
    listed = json.loads(kaiko("features", "list", "--json", data_dir=server.data_dir).stdout)
    assert {"kind": "project", "name": "exported", "feature": feature} in listed
    kaiko("features", "allow", feature, "--project", "exported", data_dir=server.data_dir)


def test_to_whom(server):
    """One of project, plan and region is to be named, and features have names."""
    for words in (("deny", "batch"), ("deny", "batch", "--plan", "a", "--region", "b"), ("deny", "thoughts", "--plan", "a")):
        assert kaiko("features", *words, data_dir=server.data_dir).returncode == 2
