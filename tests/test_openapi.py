"""The OpenAPI document that is served, held against the server that serves it."""

import json
import subprocess
import sys
from pathlib import Path

import schemathesis

from kaiko_server import reference
from tests.live import kaiko

ROOT = Path(__file__).parent.parent


def test_schemathesis_finds_no_fault(server, tmp_path):
    """All checks of schemathesis, good data and bad, on every operation of the served document: no failure."""
    scopes = [word for scope in ("analysis", "contexts", "chat", "admin") for word in ("--scope", scope)]
    key = json.loads(kaiko("keys", "create", *scopes, "--json", data_dir=server.data_dir).stdout)["key"]
    config = tmp_path / "schemathesis.toml"
    config.write_text(f'hooks = "{ROOT / "tests" / "fuzzing.py"}"\n[generation]\nmax-examples = 40\n', encoding="utf-8")
    found = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run", f"{server.url}/openapi.json",
            "--header", f"x-api-key: {key}", "--checks", "all", "--seed", "1", "--workers", "1", "--no-color",
            "--phases", "examples,coverage,fuzzing",
        ],
        capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-6000:]


def test_every_route_is_described(server):
    """Each operation says what it answers, 500 and 503 included, with the one shape of error."""
    document = server.request("GET", "/openapi.json", key=None).json
    assert schemathesis.openapi.from_dict(document)
    operations = {(method.upper(), path) for path, entry in document["paths"].items() for method in entry}
    assert operations == {
        ("POST", "/v2/emotions/analysis"), ("POST", "/v2/emotions/batch-analysis"), ("GET", "/v2/models"),
        ("POST", "/v2/emotions/{context_id}/analysis"), ("GET", "/v2/emotions/{context_id}"), ("DELETE", "/v2/emotions/{context_id}"),
        ("GET", "/v2/emotions/{context_id}/message/{external_id}"), ("GET", "/v2/emotions/{context_id}/export"),
        ("GET", "/v2/emotions/{context_id}/trajectory"),
        ("POST", "/admin/v1/keys"), ("GET", "/admin/v1/keys"), ("GET", "/admin/v1/keys/{key_id}"), ("DELETE", "/admin/v1/keys/{key_id}"),
        ("POST", "/admin/v1/keys/{key_id}/rotate"),
        ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"),
    }  # fmt: skip
    for path, entry in document["paths"].items():
        for operation in entry.values():
            assert {"405", "500", "503"} <= set(operation["responses"])
            assert {"200", "201", "204"} & set(operation["responses"])
            if path.startswith(("/v2", "/admin")):
                assert {"401", "403"} <= set(operation["responses"])
                assert operation["security"] == [{"apiKey": []}, {"bearer": []}]


def test_a_reply_is_as_described(server):
    """The item's schema names every field that an item has, and requires them all."""
    document = server.request("GET", "/openapi.json", key=None).json
    item = server.analyse("hello")["emotions"]["user"]
    described = document["components"]["schemas"]["EmotionItem"]
    assert set(described["required"]) == set(item)
    assert set(described["properties"]) - set(item) == {"safety", "evidence", "piiDetected"}


def test_the_written_reference_is_current():
    """docs/reference is what the code would write today."""
    for name, text in reference.pages():
        assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == text, f"{name}: run `make docs`"
    assert json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text(encoding="utf-8"))["info"]["title"] == "Kaiko API"
