"""`kaiko contexts` beside a running server."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from tests.live import kaiko


def told(server, name, *texts):
    """Tell a context these texts, one an hour, the last of them an hour ago."""
    now = datetime.now(UTC)
    messages = [{"content": t, "timestamp": (now - timedelta(hours=len(texts) - k)).isoformat()} for k, t in enumerate(texts)]
    path = f"/v2/emotions/{quote(name, safe='')}/analysis"
    assert server.request("POST", path, {"model": "emotion-v2", "messages": messages}).status == 200


def test_the_arc_is_drawn(server):
    """A line of blocks for what was pleasant and what was not, and what the arc tells; for machines one object."""
    told(server, "drawn", "I'm so sad, I miss her so much.", "I can't stop crying.", "I got the job! I can't stop smiling.")
    shown = kaiko("contexts", "show", "drawn", data_dir=server.data_dir)
    assert shown.returncode == 0, shown.stderr
    for line in ("pleasant", "unpleasant", "intensity", "baseline", "trend"):
        assert f"\n  {line}" in shown.stdout
    assert set("▁▂▃▄▅▆▇█") & set(shown.stdout)
    found = json.loads(kaiko("contexts", "show", "drawn", "--json", data_dir=server.data_dir).stdout)
    assert found["context_message_count"] == 3
    assert sum(b["dataPointCount"] for b in found["buckets"]) == 3


def test_a_name_cannot_command_the_terminal(server):
    """Names are a client's: markup and control characters in them are shown as what they are, or not at all."""
    told(server, "[red]a\x1b[2J%2F", "hello")
    shown = kaiko("contexts", "show", "[red]a\x1b[2J%2F", data_dir=server.data_dir)
    assert "[red]a [2J%2F" in shown.stdout
    assert "\x1b[2J" not in shown.stdout


def test_erasing(server):
    """After `delete` there is nothing to show, and doing it again is harmless."""
    told(server, "gone", "hello")
    for _ in range(2):
        assert kaiko("contexts", "delete", "gone", data_dir=server.data_dir).returncode == 0
        shown = kaiko("contexts", "show", "gone", data_dir=server.data_dir)
        assert (shown.returncode, len(shown.stderr.strip().splitlines())) == (1, 1)
        assert "no such context" in shown.stderr


def test_what_cannot_be_shown(server):
    """An unknown project, another environment and a name that no context can have are one clear line."""
    told(server, "not-for-all", "hello")
    for wish in (["not-for-all", "--project", "none"], ["not-for-all", "--environment", "test"], ["analysis"], [""]):
        refused = kaiko("contexts", "show", *wish, data_dir=server.data_dir)
        assert (refused.returncode, len(refused.stderr.strip().splitlines())) == (1, 1), wish
