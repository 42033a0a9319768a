"""The stateless routes over HTTP, against the contract's sections 2 and 3."""

import json
from datetime import UTC, datetime, timedelta

import pytest

ROUTES = ("/v2/emotions/analysis", "/v2/emotions/batch-analysis")
ITEM = {
    "text", "category", "raw", "intensity", "intensityLevel", "valence", "arousal", "complexity", "wonderIndex", "discoveryLevel",
    "activeLabels", "confidence", "isBreakthrough", "metaEmotionalScore", "patternEmotionScore", "emotionalVector", "emotionalTags",
    "emotionalSignature",
    "dimensionalSource", "language", "coverage", "empathicConcern", "personalDistress", "safetyConcernScore", "hostilityState",
}  # fmt: skip


def body(*messages, **more):
    return {"model": "emotion-v2", "messages": list(messages) or [{"content": {"text": "hello"}}]} | more


def text(value):
    return {"content": {"text": value}}


def test_the_documented_request_with_either_header(server):
    """The documentation's request answers 200 with `emotions.user`, with either header."""
    asked = {"model": "emotion-v2", "messages": [{"role": "user", "content": {"text": "hello"}}]}
    for headers in ({"x-api-key": server.key}, {"Authorization": f"Bearer {server.key}"}):
        reply = server.request("POST", ROUTES[0], asked, headers, key=None)
        assert reply.status == 200
        assert set(reply.json["emotions"]["user"]) == ITEM
        assert reply.headers["content-type"] == "application/json; charset=utf-8"


def test_the_reply_has_the_contracts_fields(server):
    """Envelope and item of a single message; blocks that do not apply are absent."""
    reply = server.analyse("hello")
    envelope = {"object", "model", "response_type", "emotions", "isFallback", "dataQuality", "metadata", "params", "usage"}
    assert set(reply) == envelope | {"conversationMode"}
    assert (reply["object"], reply["model"], reply["response_type"]) == ("emotions.analysis", "emotion-v2", "per_message")
    assert reply["isFallback"] is False
    assert reply["metadata"] == reply["params"] == {}
    assert reply["usage"] == {"analyse_tokens": 3, "total_tokens": 3}


@pytest.mark.parametrize("route", ROUTES)
def test_the_request_of_a_client_in_use(server, route):
    """The alias `emotion-1`, `detailed`, `external_id` and content as a plain string work on both routes."""
    asked = {
        "model": "emotion-1",
        "params": {"granularity": "detailed"},
        "messages": [text("so proud") | {"external_id": "m1"}, {"content": "ok"}],
    }
    reply = server.request("POST", route, asked)
    assert reply.status == 200
    assert reply.json["model"] == "emotion-v2"
    first = reply.json["emotions"][0] if "batch" in route else reply.json["messages"][0]["emotions"]
    assert len(first["raw"]) == 28


def test_several_messages(server):
    """Every message is in `messages`, in request order; per role the latest by time, then by order, is in `emotions`."""
    asked = body(
        text("late") | {"timestamp": "2026-01-02T00:00:00Z", "externalId": "a", "external_id": "b"},
        text("early") | {"timestamp": "2026-01-01T23:30:00-01:00"},
        text("same moment, later in order") | {"timestamp": "2026-01-02T02:00:00+02:00"},
        text("an answer") | {"role": "assistant"},
    )
    reply = server.request("POST", ROUTES[0], asked).json
    assert [(m["index"], m["role"], m.get("externalId")) for m in reply["messages"]] == [
        (0, "user", "a"), (1, "user", None), (2, "user", None), (3, "assistant", None),
    ]  # fmt: skip
    assert reply["emotions"]["user"]["text"] == "early"
    assert reply["emotions"]["assistant"]["text"] == "an answer"


def test_one_hundred_messages(server):
    """A hundred messages are read in one request, each of them, on both routes."""
    texts = [f"message number {n} of a long day" for n in range(100)]
    assert [m["emotions"]["text"] for m in server.analyse(*texts)["messages"]] == texts
    assert [item["text"] for item in server.analyse(*texts, path=ROUTES[1])["emotions"]] == texts


def test_ten_thousand_characters(server):
    """The longest text is read whole, in windows, and one more character is refused with its own code."""
    sentence = "It rained all day and nobody came. "
    longest = (sentence * 300)[:10_000]
    item = server.analyse(longest)["emotions"]["user"]
    assert item["coverage"]["characters"] == 10_000
    assert item["coverage"]["windows"] > 10
    reply = server.request("POST", ROUTES[0], body(text(longest + "!")))
    assert (reply.status, reply.error["code"], reply.error["param"]) == (413, "text_too_long", "messages[0].content.text")


def test_a_turn_in_a_long_text_is_heard(server):
    """What is said at the very end of a long neutral text still moves the reading: nothing is cut off."""
    plain = "The bus leaves at nine and stops at the library, the market and the school. " * 60
    before = server.analyse(plain)["emotions"]["user"]
    after = server.analyse(plain + "My brother died this morning and I cannot stop crying.")["emotions"]["user"]
    assert after["raw"]["sadness"] > before["raw"]["sadness"]
    assert after["valence"] < before["valence"]


@pytest.mark.parametrize(
    "value", ["😀😭❤️", "👩‍👩‍👧‍👦", "שלום, אני עצוב", "أنا سعيد جدا", "今天很累", "é\u0301 \u0301", "\x01ok", "ok " * 3000]
)
def test_texts_of_every_kind_are_read(server, value):
    """Emoji alone, right-to-left script, combining and control characters: an answer, with the text as it came."""
    item = server.analyse(value)["emotions"]["user"]
    assert item["text"] == value
    assert item["coverage"]["characters"] == len(value)


def test_other_languages_are_not_trusted(server):
    """Text in a language the model does not know is marked, English with emoji is not."""
    assert server.analyse("Ich bin heute sehr traurig, weil niemand gekommen ist.")["dataQuality"] == "low_confidence"
    assert server.analyse("אני עצוב")["dataQuality"] == "low_confidence"
    assert server.analyse("lol ok 😂")["dataQuality"] == "ml_predicted"


def test_params_are_echoed_as_accepted(server):
    """`params` comes back as accepted; unknown fields and params are ignored."""
    reply = server.analyse("hello", params={"granularity": "basic", "sensitivity": 1, "colour": "red"}, shape="round")
    assert reply["params"] == {"granularity": "basic", "sensitivity": 1}
    assert set(reply["emotions"]["user"]["raw"]) == {"joy", "love", "sadness", "anger", "fear", "surprise"}


FUTURE = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
BAD = [
    ({"messages": [text("x")]}, 400, "missing_field", "model"),
    ({"model": "emotion-v2"}, 400, "missing_field", "messages"),
    (body({"role": "user"}), 400, "missing_field", "messages[0].content"),
    (body({"content": {}}), 400, "missing_field", "messages[0].content.text"),
    (body(*[text("x")] * 101), 400, "batch_too_large", "messages"),
    (body(text("x"), model="gpt-4"), 404, "invalid_model", "model"),
    (body(text("x"), model=2), 422, "invalid_value", "model"),
    (body(messages=[]), 422, "invalid_value", "messages"),
    (body(messages="x"), 422, "invalid_value", "messages"),
    (body(text("x"), text("   \n\t ")), 422, "invalid_value", "messages[1].content.text"),
    (body(text("\u200b\u200d\ufe0f")), 422, "invalid_value", "messages[0].content.text"),
    (body(text("")), 422, "invalid_value", "messages[0].content.text"),
    (body(text(None)), 422, "invalid_value", "messages[0].content.text"),
    (body(text(7)), 422, "invalid_value", "messages[0].content.text"),
    (body(text("x") | {"role": "robot"}), 422, "invalid_role", "messages[0].role"),
    (body(text("x") | {"role": None}), 422, "invalid_role", "messages[0].role"),
    (body(text("x") | {"externalId": ""}), 422, "invalid_value", "messages[0].externalId"),
    (body(text("x") | {"externalId": "é" * 128}), 422, "invalid_value", "messages[0].externalId"),
    (body(text("x") | {"timestamp": "yesterday"}), 422, "invalid_value", "messages[0].timestamp"),
    (body(text("x") | {"timestamp": 1700000000}), 422, "invalid_value", "messages[0].timestamp"),
    (body(text("x") | {"timestamp": FUTURE}), 422, "invalid_value", "messages[0].timestamp"),
    (body(text("x"), params={"granularity": "fine"}), 422, "invalid_value", "params.granularity"),
    (body(text("x"), params={"sensitivity": 1.1}), 422, "invalid_value", "params.sensitivity"),
    (body(text("x"), params={"sensitivity": "0.5"}), 422, "invalid_value", "params.sensitivity"),
    (body(text("x"), params={"sensitivity": True}), 422, "invalid_value", "params.sensitivity"),
    (body(text("x"), params={"explain": 1}), 422, "invalid_value", "params.explain"),
    (body(text("x"), params=[]), 422, "invalid_value", "params"),
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("asked", "status", "code", "param"), BAD, ids=[f"{c}:{p}:{n}" for n, (_, _, c, p) in enumerate(BAD)])
def test_bad_input_names_the_field(server, route, asked, status, code, param):
    """Each fault gets its status, its code, and the field that is wrong."""
    reply = server.request("POST", route, asked)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (status, code, param)
    assert reply.error["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe{}", b'{"model": NaN}', b"[" * 100_000, b'{"a":' * 50_000, b'{"model":"emotion-v2"} {}'],
)
def test_what_is_no_json_object_is_refused(server, data):
    """Broken, nested without end, not UTF-8, or no object: 400 `invalid_json`."""
    reply = server.request("POST", ROUTES[0], data)
    assert (reply.status, reply.error["code"]) == (400, "invalid_json")


def test_lone_surrogates_are_refused(server):
    """Half a character, written as an escape, is refused and never a 500."""
    for broken in (r'"\ud83d"', r'"ok \udc00 ok"'):
        data = b'{"model":"emotion-v2","messages":[{"content":{"text":' + broken.encode() + b"}}]}"
        reply = server.request("POST", ROUTES[0], data)
        assert reply.status in {400, 422}
    pair = b'{"model":"emotion-v2","messages":[{"content":{"text":"\\ud83d\\ude00"}}]}'
    assert server.request("POST", ROUTES[0], pair).json["emotions"]["user"]["text"] == "😀"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "multipart/form-data"]
)
def test_other_media_types_are_refused(server, kind):
    """The body must be JSON in UTF-8."""
    reply = server.request("POST", ROUTES[0], json.dumps(body()).encode(), {"content-type": kind})
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")


def test_the_whole_request_is_checked_before_anything_runs(server):
    """One bad message among good ones: nothing is answered for the good ones, and none was read."""
    before = server.request("GET", "/metrics").body
    assert server.request("POST", ROUTES[0], body(text("fine"), text(" "))).status == 422
    after = server.request("GET", "/metrics").body

    def read(metrics):
        return [line for line in metrics.splitlines() if line.startswith(b"kaiko_texts_total")]

    assert read(before) == read(after)
