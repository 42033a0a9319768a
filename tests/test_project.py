"""The project around the code: the commands of the README, on machines of every kind, and pages that lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kaiko_server.cli import COMMANDS
from tests.live import clean_environment
from tests.test_house import tracked

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [path for path in tracked() if path.suffix == ".md" and ROOT / "training" / "data" not in path.parents]
VERBS = ("setup", "run", "test", "check", "bench", "train", "train-report", "docs")


def sh(*command, cwd=ROOT, **environment):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=clean_environment(**environment), timeout=60, check=False)


def blocks(language):
    """The code blocks of the README in *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


# What is installed on the bare machine below; its Python is a stand-in, for a real one would fetch from a registry.
TOOLS = ("bash", "cat", "chmod", "cksum", "dirname", "env", "mkdir", "rm")
PYTHON = """#!/usr/bin/env bash
case "$*" in
    --version) echo "Python 3.12.0" ;;
    "-m venv "*)
        {venv}
        mkdir -p "$3/bin"; cat "$0" >"$3/bin/python"; chmod +x "$3/bin/python" ;;
    "-m pip "*) echo "$*" >>"$LOG" ;;
    -c*) exit {version} ;;
esac
"""


@pytest.fixture
def bare(tmp_path):
    """Give a function that runs ./dev in a fresh copy of the project, on a machine that has next to nothing."""
    copy, tools = tmp_path / "copy", tmp_path / "tools"
    copy.mkdir()
    tools.mkdir()
    for name in ("dev", "pyproject.toml"):
        shutil.copy2(ROOT / name, copy)
    shutil.copytree(ROOT / "requirements", copy / "requirements")
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool))

    def run(verb, *, python=None):
        if python is not None:
            (tools / "python3").write_text(python)
            (tools / "python3").chmod(0o755)
        return subprocess.run(
            [copy / "dev", verb],
            capture_output=True,
            text=True,
            env={"PATH": str(tools), "HOME": str(tmp_path / "home"), "LOG": str(tmp_path / "log")},
            timeout=60,
            check=False,
        )

    run.folder, run.log = copy, tmp_path / "log"
    return run


def test_make_and_dev_have_the_same_verbs():
    """Whoever has no make uses ./dev: each verb is in both, and the help names it."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    helped = sh("./dev", "help").stdout
    for verb in VERBS:
        assert re.search(rf"^[\w -]*\b{verb}\b[\w -]*: ;", makefile, re.MULTILINE), verb
        assert f"./dev {verb} " in helped
    assert sh("make", "-s", "help").stdout == helped
    assert sh("./dev", "nonsense").returncode == 2


def test_no_python_is_said_clearly(bare):
    """Where no Python is new enough, one line says what is needed and how to get it."""
    for python in (None, PYTHON.format(version=1, venv="")):
        found = bare("setup", python=python)
        assert found.returncode == 1
        assert found.stderr.startswith("Python 3.11 or newer is needed")
        assert found.stderr.count("\n") == 1


def test_a_python_without_venv_is_mended_by_one_line(bare):
    """Where Python cannot make virtual environments, the line that mends it is printed, and nothing half made is left."""
    found = bare("setup", python=PYTHON.format(version=0, venv='mkdir -p "$3/bin"; echo "ensurepip is not available" >&2; exit 1'))
    assert found.returncode == 1
    assert found.stderr.endswith("this mends it: apt-get install python3-venv\n")
    assert "ensurepip is not available" in found.stderr
    assert not (bare.folder / ".venv").exists()


def test_setup_installs_once(bare):
    """What the lock names is installed by hash; a second time nothing is done, and after a change of the lock it is done again."""

    def installs():
        return bare.log.read_text().splitlines()

    first = bare("setup", python=PYTHON.format(version=0, venv=""))
    assert first.returncode == 0, first.stderr
    lock, project = installs()
    assert "--require-hashes -r requirements/run.lock" in lock
    assert project.endswith("-e .")
    again = bare("setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(installs()) == 2
    with (bare.folder / "requirements" / "run.lock").open("a") as changed:
        changed.write("# changed\n")
    assert bare("setup").returncode == 0
    assert len(installs()) == 4


def test_training_says_what_it_needs():
    """`make train` without data says what to give it."""
    found = sh("./dev", "train")
    assert found.returncode == 1
    assert "make train DATA=DIR" in found.stderr


def test_the_commands_of_the_readme_exist():
    """Every `make …` and every `kaiko …` that the README names is there."""
    assert set(re.findall(r"`(?:make|\./dev) ([a-z-]+)", README)) <= set(VERBS)
    assert set(re.findall(r"`(?:\.venv/bin/)?kaiko ([a-z]+)", README)) <= set(COMMANDS)


def test_the_curl_line_of_the_readme(server):
    """The first thing that anyone pastes is answered with a reading."""
    (line,) = [block for block in blocks("") if block.startswith("curl")]
    found = sh("bash", "-c", line.replace("http://127.0.0.1:8000", server.url).replace("YOUR_KEY", server.key))
    assert '"category":"' in found.stdout, found


def test_the_python_of_the_readme(server):
    """The Python of the README runs as it stands, with the standard library alone."""
    (code,) = blocks("python")
    code = code.replace("http://127.0.0.1:8000", server.url).replace("YOUR_KEY", server.key)
    found = sh(sys.executable, "-I", "-c", code)
    assert re.fullmatch(r"[a-z]+ -?[\d.]+ [\d.]+\n", found.stdout), found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every link of every page to a file of the project leads to one."""
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_licence_is_the_one_that_is_named():
    """LICENSE holds the text of the licence that the package declares."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_what_is_shipped_is_small():
    """The model and all that belongs to it take 25 MB at most."""
    assert sum(path.stat().st_size for path in (ROOT / "src" / "kaiko_server" / "engine" / "weights").iterdir()) <= 25_000_000


def test_scripts_can_be_run():
    """What is to be run is executable in a fresh clone."""
    for name in ("dev", ".ci/run"):
        assert os.access(ROOT / name, os.X_OK), name
