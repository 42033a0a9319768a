"""`kaiko projects` beside a running server."""

import json

from tests.live import kaiko

HELLO = {"model": "emotion-v2", "messages": [{"content": "hello"}]}


def key_of(server, project):
    return json.loads(kaiko("keys", "create", "--json", "--project", project, data_dir=server.data_dir).stdout)["key"]


def test_a_project_remembers_as_told(server):
    """What is said of a project is listed, and goes back to the server's when nothing is said."""
    key_of(server, "retained")
    told = kaiko("projects", "retain", "retained", "--state-hours", "2", "--points-days", "7", "--strict", data_dir=server.data_dir)
    assert told.returncode == 0, told.stderr
    listed = {p["name"]: p for p in json.loads(kaiko("projects", "list", "--json", data_dir=server.data_dir).stdout)}
    assert (listed["retained"]["state_hours"], listed["retained"]["points_days"], listed["retained"]["strict"]) == (2, 7, True)
    assert listed["default"]["state_hours"] is None
    assert "2:00:00" in kaiko("projects", "list", data_dir=server.data_dir).stdout
    again = json.loads(kaiko("projects", "retain", "retained", "--json", data_dir=server.data_dir).stdout)
    assert (again["state_hours"], again["points_days"], again["strict"]) == (None, None, None)


def test_the_end_of_a_project(server):
    """Its keys are refused, its contexts are gone, and the project that another makes under the name is another."""
    key = key_of(server, "ending")
    assert server.request("POST", "/v2/emotions/x/analysis", HELLO, key=key).status == 200
    asked = kaiko("projects", "delete", "ending", data_dir=server.data_dir, stdin="n\n")
    assert asked.returncode == 1
    done = kaiko("projects", "delete", "ending", "--yes", data_dir=server.data_dir)
    assert done.stdout == "ending is gone, with 1 key and 1 context.\n"
    fresh = key_of(server, "ending")
    assert server.request("GET", "/v2/emotions/x", key=fresh).error["code"] == "context_not_found"
    refused = kaiko("projects", "delete", "nobody", "--yes", data_dir=server.data_dir)
    assert (refused.returncode, refused.stderr) == (1, "Error: there is no project 'nobody'\n")
