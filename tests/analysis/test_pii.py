"""Personal data in texts, over HTTP: reported or masked as a project wants it."""

import json

import pytest

from tests.live import kaiko

TEXT = "I am so angry! Write to anna.zq@example.com or call +44 20 7946 0958."
MASKED = "I am so angry! Write to [email] or call [phone]."
ROUTES = ("/v2/emotions/analysis", "/v2/emotions/batch-analysis", "/v2/emotions/personal/analysis")


def item_of(reply):
    emotions = reply.json["emotions"]
    return emotions[0] if isinstance(emotions, list) else emotions["user"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(("what", "text"), [("report", TEXT), ("mask", MASKED)])
def test_personal_data(server, path, what, text):
    """Kinds and numbers are told; masked, model and reply have the kind in place of the data. Other projects are told of none."""
    project = f"personal-{what}"
    key = json.loads(kaiko("keys", "create", "--project", project, "--json", data_dir=server.data_dir).stdout)["key"]
    assert kaiko("projects", "pii", project, what, data_dir=server.data_dir).returncode == 0
    body = {"model": "emotion-v2", "params": {"explain": True}, "messages": [{"content": TEXT}]}
    item = item_of(server.request("POST", path, body, key=key))
    assert (item["text"], item["piiDetected"]) == (text, {"email": 1, "phone": 1})
    plain = body | {"messages": [{"content": text}]}
    same = item_of(server.request("POST", path, plain))
    assert "piiDetected" not in same
    assert item["raw"] == pytest.approx(same["raw"], abs=2e-3)
    assert [e["label"] for e in item["evidence"]] == [e["label"] for e in same["evidence"]]
    assert "piiDetected" not in item_of(server.request("POST", path, body | {"messages": [{"content": "hello"}]}, key=key))
