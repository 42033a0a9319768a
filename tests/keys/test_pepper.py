"""The promises of the pepper, the secret that keys are hashed with."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kaiko_server.keys.service import PEPPER_FILE, load_pepper
from kaiko_server.settings import Settings, SettingsError

GIVEN = "0123456789abcdef0123456789abcdef"


def test_development_makes_it_once(data_dir: Path) -> None:
    """In development it is made on the first start, with 256 random bits, and kept in a file only its owner can read."""
    settings = Settings(data_dir=data_dir)
    pepper = load_pepper(settings)
    assert len(bytes.fromhex(pepper.decode())) == 32
    assert load_pepper(settings) == pepper
    path = data_dir / PEPPER_FILE
    assert path.read_bytes() == pepper
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert [other for other in data_dir.iterdir() if other != path and pepper in other.read_bytes()] == []


def test_each_data_directory_has_its_own(tmp_path: Path) -> None:
    """Two data directories have two peppers."""
    assert load_pepper(Settings(data_dir=tmp_path / "a")) != load_pepper(Settings(data_dir=tmp_path / "b"))


@pytest.mark.parametrize("environment", ["development", "production"])
def test_setting_wins(data_dir: Path, environment: str) -> None:
    """One that is given is used, and nothing is written."""
    assert load_pepper(Settings(environment=environment, data_dir=data_dir, pepper=GIVEN)) == GIVEN.encode()
    assert not data_dir.exists()


def test_production_requires_it(data_dir: Path) -> None:
    """In production it must be given, even beside a file of development; the message says how to make one."""
    load_pepper(Settings(data_dir=data_dir))
    with pytest.raises(SettingsError, match=r"KAIKO_PEPPER is required.*openssl rand -hex 32"):
        load_pepper(Settings(environment="production", data_dir=data_dir))


def test_file_of_development_can_move_to_production(data_dir: Path) -> None:
    """What the file holds, given as the setting, is the same pepper: keys made in development go on working."""
    pepper = load_pepper(Settings(data_dir=data_dir))
    moved = (data_dir / PEPPER_FILE).read_text()
    assert load_pepper(Settings(environment="production", data_dir=data_dir, pepper=moved)) == pepper


@pytest.mark.parametrize("content", [b"", b"short\n"])
def test_damaged_file_is_told(data_dir: Path, content: bytes) -> None:
    """A file that holds no pepper is not replaced behind the operator's back, for that would end every key."""
    data_dir.mkdir()
    (data_dir / PEPPER_FILE).write_bytes(content)
    with pytest.raises(SettingsError, match="restore it, or remove it"):
        load_pepper(Settings(data_dir=data_dir))
    assert (data_dir / PEPPER_FILE).read_bytes() == content


def test_crash_while_making_it_leaves_no_trap(data_dir: Path) -> None:
    """An unfinished file of a crash is thrown away on the next start."""
    data_dir.mkdir()
    unfinished = data_dir / f"{PEPPER_FILE}.unfinished"
    unfinished.write_bytes(b"half")
    assert len(load_pepper(Settings(data_dir=data_dir))) == 64
    assert not unfinished.exists()


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A data directory that cannot be used is told as a setting to mend."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="set KAIKO_PEPPER"):
        load_pepper(Settings(data_dir=tmp_path / "file" / "var"))


_LOADS = """
import sys
from pathlib import Path
from kaiko_server.keys.service import load_pepper
from kaiko_server.settings import Settings
sys.stdin.readline()
sys.stdout.write(load_pepper(Settings(data_dir=Path(sys.argv[1]))).decode())
"""


def test_processes_agree(data_dir: Path) -> None:
    """Processes that start at the same moment get one pepper, the one in the file."""
    command = [sys.executable, "-c", _LOADS, data_dir]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    peppers = [child.communicate()[0] for child in children]
    assert set(peppers) == {(data_dir / PEPPER_FILE).read_text()}
    assert len(peppers[0]) == 64
