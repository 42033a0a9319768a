"""The command line as a person and a script use it: the real command, in a process of its own."""

import json
import re
import shlex
import signal
import stat
import subprocess

import pytest

from tests.live import KAIKO, Server, clean_environment, kaiko


def test_help_names_every_command():
    """`kaiko --help` says what there is, and each command explains itself."""
    found = kaiko("--help")
    assert found.returncode == 0
    for name in ("serve", "keys", "analyze", "doctor", "migrate"):
        assert name in found.stdout
        assert kaiko(name, "--help").returncode == 0


def test_a_key_is_shown_once(tmp_path):
    """`create --json` prints one object with id and key; the list never holds the key again."""
    made = json.loads(
        kaiko("keys", "create", "--project", "shop", "--environment", "test", "--name", "till", "--json", data_dir=tmp_path).stdout
    )
    assert made["key"].startswith("kaiko_test_")
    listed = kaiko("keys", "list", "--json", data_dir=tmp_path).stdout
    assert made["key"] not in listed
    (entry,) = json.loads(listed)
    assert (entry["id"], entry["project"], entry["environment"], entry["name"], entry["status"]) == (
        made["id"],
        "shop",
        "test",
        "till",
        "active",
    )
    assert "key" not in entry
    assert made["id"] in kaiko("keys", "list", data_dir=tmp_path).stdout


def test_every_command_takes_a_data_dir(tmp_path):
    """`--data-dir` wins over the environment."""
    kaiko("keys", "create", "--data-dir", tmp_path / "a", data_dir=tmp_path / "b")
    assert (tmp_path / "a" / "kaiko.db").exists()
    assert not (tmp_path / "b").exists()
    assert kaiko("migrate", "--data-dir", tmp_path / "c").returncode == 0
    assert (tmp_path / "c" / "kaiko.db").exists()


def test_revoking_what_is_not_there(tmp_path):
    """An unknown id is one clear line and exit code 1; the same key twice is no error."""
    found = kaiko("keys", "revoke", "key_unknown", data_dir=tmp_path)
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    made = json.loads(kaiko("keys", "create", "--json", data_dir=tmp_path).stdout)
    for _ in range(2):
        assert json.loads(kaiko("keys", "revoke", made["id"], "--json", data_dir=tmp_path).stdout)["status"] == "revoked"


def test_bad_expiries_are_explained(tmp_path):
    """A date in the past or no date at all is refused with what would be right."""
    for value in ("2020-01-01", "soon", "30x"):
        found = kaiko("keys", "create", "--expires", value, data_dir=tmp_path)
        assert found.returncode == 2
        assert value in found.stderr
    made = json.loads(kaiko("keys", "create", "--expires", "30d", "--json", data_dir=tmp_path).stdout)
    assert made["expires_at"] > made["created_at"]


def test_analyze_for_people():
    """One text is drawn with bars, a label for each of the six and the three dimensions."""
    shown = kaiko("analyze", "I'm so grateful to my sister").stdout
    for word in ("joy", "love", "sadness", "anger", "fear", "surprise", "valence", "arousal", "intensity", "█"):
        assert word in shown


def test_analyze_for_machines():
    """`--json` gives one object a line, with the number of the line it was read from; blank lines are passed over."""
    found = kaiko("analyze", "-", "--json", stdin="hello\n\n  \nso sad today\n")
    assert found.returncode == 0
    items = [json.loads(line) for line in found.stdout.splitlines()]
    assert [(item["line"], item["text"]) for item in items] == [(1, "hello"), (4, "so sad today")]
    assert found.stderr == ""


def test_analyze_says_what_it_did_not_read():
    """A line that is too long is named on standard error and not repeated; the others are read, and the exit code is 1."""
    found = kaiko("analyze", "-", stdin="hello\n" + "secret" * 2000 + "\nbye\n")
    assert found.returncode == 1
    assert found.stderr == "line 2: not read: longer than 10,000 characters\n"
    assert "hello" in found.stdout
    assert "bye" in found.stdout


def test_analyze_reads_a_long_file_in_pieces():
    """A thousand lines are all read, in order."""
    found = kaiko("analyze", "-", "--json", stdin="".join(f"line number {n}\n" for n in range(1000)))
    assert [json.loads(line)["text"] for line in found.stdout.splitlines()] == [f"line number {n}" for n in range(1000)]


def test_analyze_takes_whatever_a_file_holds():
    """What is not UTF-8 and lines without an end are named and passed over, however the terminal is set up; what follows is read."""
    data = b"caf\xe9\n" + b"x" * 1_000_000 + b"\n" + b" " * 1_000_000 + b"x\n\xc2\xa0\nhello\n"
    for encoding in ("utf-8:strict", "ascii"):
        environment = clean_environment(PYTHONIOENCODING=encoding)
        found = subprocess.run(
            [KAIKO, "analyze", "-", "--json"], input=data, capture_output=True, env=environment, timeout=120, check=False
        )
        assert [json.loads(line)["line"] for line in found.stdout.splitlines()] == [5]
        told = [line.rpartition(": ")[2] for line in found.stderr.decode().splitlines()]
        assert told == ["not valid UTF-8", "longer than 10,000 characters", "longer than 10,000 characters"]
        assert found.returncode == 1


def test_analyze_sends_no_text_as_a_command_to_the_terminal():
    """An escape sequence in a text is shown as the harmless rest of it."""
    found = kaiko("analyze", "-", stdin="\x1b[31mred\x1b[0m and \x07 a bell\n")
    assert "red" in found.stdout
    assert not set(found.stdout) & {"\x1b", "\x07"}


def test_nothing_to_read():
    """No text is an error of one line, no input is none."""
    found = kaiko("analyze", "  ")
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "Error: there is no text\n")
    found = kaiko("analyze", "-", stdin="\n\n")
    assert (found.returncode, found.stdout) == (0, "")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["migrate", "serve", "keys list", "keys create", "keys revoke x"])
def test_what_cannot_be_opened_is_one_line(tmp_path, command):
    """A data directory that cannot be made or is damaged is one line on standard error and exit code 1, never a traceback."""
    (tmp_path / "file").touch()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "kaiko.db").write_bytes(b"this is no database" * 1000)
    for place in (tmp_path / "file" / "below", damaged):
        found = kaiko(*command.split(), data_dir=place)
        assert found.returncode == 1
        assert found.stderr.startswith("Error: ")
        assert found.stderr.count("\n") == 1


def test_a_wrong_setting_is_one_line(tmp_path):
    """A setting that cannot be understood is named, with exit code 1; doctor names it too."""
    for command in (["migrate"], ["serve"], ["keys", "list"]):
        found = kaiko(*command, data_dir=tmp_path, KAIKO_PORT="eighty")
        assert (found.returncode, found.stderr) == (1, "Error: KAIKO_PORT='eighty' is not a whole number\n")
    found = kaiko("doctor", data_dir=tmp_path, KAIKO_PORT="eighty")
    assert found.returncode == 1
    assert "KAIKO_PORT='eighty'" in found.stdout


def test_the_curl_line_can_be_pasted(tmp_path):
    """The first start prints a key and a curl line that is answered; the next start prints neither, and says how to make a key."""
    server = Server(tmp_path / "var")
    curl = server.out.read_text().split("Try it:")[1]
    answered = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=60, check=True).stdout
    server.stop()
    assert json.loads(answered)["emotions"]["user"]["category"]
    assert max(map(len, curl.splitlines())) <= 90
    again = Server(tmp_path / "var")
    told = again.out.read_text()
    again.stop()
    assert server.key not in told
    create = shlex.split(re.search(r"this makes another: (.*)", told)[1])
    assert create[-4:] == ["keys", "create", "--data-dir", str(tmp_path / "var")]


def test_production_makes_no_key_by_itself(tmp_path):
    """In production the first start makes no key, and says how to make one."""
    environment = clean_environment(KAIKO_ENVIRONMENT="production", KAIKO_PEPPER="p" * 32, KAIKO_DATA_DIR=tmp_path / "var")
    command = [KAIKO, "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        told = next(line for line in process.stdout if "keys create" in line)
        process.send_signal(signal.SIGTERM)
    assert "There is no key yet" in told
    assert process.returncode == 0
    assert json.loads(kaiko("keys", "list", "--json", data_dir=tmp_path / "var").stdout) == []


def test_doctor_finds_nothing_wrong_beside_a_server(server):
    """Beside a running server its database is sound and its port is in good hands."""
    found = kaiko("doctor", "--json", data_dir=server.data_dir, KAIKO_PORT=server.port)
    findings = {f["what"]: f for f in json.loads(found.stdout)}
    assert found.returncode == 0, findings
    assert findings["database"]["found"].endswith(": sound, schema current")
    assert "Kaiko runs" in findings["port"]["found"]
    assert set(findings) == {"Python", "model", "data folder", "database", "pepper", "limits", "TLS", "port", "memory", "disk"}


def test_doctor_looks_at_valkey_and_certificate(valkey, tmp_path):
    """What is there is fine; what is not is named, with how to mend it."""
    good = json.loads(kaiko("doctor", "--json", data_dir=tmp_path / "var", KAIKO_PORT=0, KAIKO_VALKEY_URL=valkey.url).stdout)
    assert {f["what"]: f["found"] for f in good}["limits"] == "counted in Valkey"
    wrong = {"KAIKO_VALKEY_URL": "valkey://127.0.0.1:1/0", "KAIKO_TLS_CERT": tmp_path / "none", "KAIKO_TLS_KEY": tmp_path / "none"}
    found = {f["what"]: f for f in json.loads(kaiko("doctor", "--json", data_dir=tmp_path / "var", KAIKO_PORT=0, **wrong).stdout)}
    assert [(found[what]["ok"], bool(found[what]["mend"])) for what in ("limits", "TLS")] == [(False, True)] * 2


def test_doctor_finds_nothing_wrong_on_a_fresh_machine(tmp_path):
    """Before the first start all is well, and looking changes nothing."""
    found = kaiko("doctor", data_dir=tmp_path / "var", KAIKO_PORT=0)
    assert found.returncode == 0, found.stdout
    assert not (tmp_path / "var").exists()


def test_doctor_says_how_to_mend_it(tmp_path):
    """An open folder, an open pepper and a broken database are each named, with the command that mends them; exit code 1."""
    var = tmp_path / "var"
    kaiko("keys", "create", data_dir=var)
    var.chmod(0o755)
    (var / "pepper").chmod(0o644)
    found = kaiko("doctor", "--json", data_dir=var, KAIKO_PORT=0)
    assert found.returncode == 1
    wrong = {f["what"]: f["mend"] for f in json.loads(found.stdout) if not f["ok"]}
    assert set(wrong) == {"data folder", "pepper"}
    assert f"chmod 700 {var}" in wrong["data folder"]
    assert f"chmod 600 {var / 'pepper'}" in wrong["pepper"]
    (var / "kaiko.db").write_bytes(b"this is no database" * 1000)
    assert any(f["what"] == "database" and not f["ok"] for f in json.loads(kaiko("doctor", "--json", data_dir=var, KAIKO_PORT=0).stdout))


def test_doctor_names_a_missing_pepper(tmp_path):
    """In production the pepper must be given, and doctor says how to make one."""
    found = kaiko("doctor", data_dir=tmp_path, KAIKO_ENVIRONMENT="production", KAIKO_PORT=0)
    assert found.returncode == 1
    assert "openssl rand -hex 32" in found.stdout


def test_files_are_private(tmp_path):
    """What the command line makes is for its user alone."""
    var = tmp_path / "var"
    kaiko("keys", "create", data_dir=var)
    assert stat.S_IMODE(var.stat().st_mode) == 0o700
    for path in var.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
