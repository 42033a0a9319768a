"""`kaiko audit`, as an operator runs it."""

import json
import sqlite3

from tests.live import kaiko


def test_what_was_done(tmp_path):
    """Commands leave lines that are shown, exported and verified; who changes one is found out."""
    data = tmp_path / "var"
    made = json.loads(kaiko("keys", "create", "--name", "shop", "--json", data_dir=data).stdout)
    kaiko("keys", "revoke", made["id"], data_dir=data)
    kaiko("projects", "retain", "default", "--state-hours", "2", data_dir=data)
    lines = [json.loads(line) for line in kaiko("audit", "export", data_dir=data).stdout.splitlines()]
    assert [line["action"] for line in lines] == ["key.create", "key.revoke", "project.retain"]
    assert all(line["actor"].startswith("cli:") for line in lines)
    shown = kaiko("audit", "list", data_dir=data).stdout
    assert [made["id"] in line for line in shown.splitlines()] == [True, True, False]
    held = json.loads(kaiko("audit", "verify", "--json", data_dir=data).stdout)
    assert held["lines"] == 3
    assert kaiko("audit", "verify", "--head", held["head"], data_dir=data).returncode == 0
    assert "written anew" in kaiko("audit", "verify", "--head", "ab" * 32, data_dir=data).stderr
    with sqlite3.connect(data / "kaiko.db") as database:
        database.execute("UPDATE audit SET actor = 'cli:somebody' WHERE number = 2")
    database.close()
    broken = kaiko("audit", "verify", data_dir=data)
    assert (broken.returncode, "breaks at line 2" in broken.stderr) == (1, True)
