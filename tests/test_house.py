"""The rules of the house as code: who may depend on whom, and the habits that keep the place one wants to live in."""

import ast
import re
import subprocess
import tomllib
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import pytest
from packaging.markers import Marker

from kaiko_server.errors import Code
from kaiko_server.settings import Settings

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "kaiko_server"
FEATURES = {
    "analysis",
    "contexts",
    "trajectory",
    "chat",
    "keys",
    "partners",
    "projects",
    "usage",
    "audit",
    "health",
    "idempotency",
    "models",
    "console",
    "bulk",
}


def module_of(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}


def imports(tree):
    """Every module that *tree* imports, with the line; `from a import b` counts as a.b where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield (name if name in MODULES else node.module), node.lineno


def ours():
    """Module to the modules of ours that it imports."""
    return {name: {m for m, _ in imports(tree) if m in MODULES and m != name} for name, tree in MODULES.items()}


def layer(name):
    """The floor a module lives on; imports go down, or to a neighbour where MEETINGS says so."""
    parts = name.split(".")[1:]
    if not parts:
        return 9
    first, last = parts[0], parts[-1]
    if first in {"cli", "app", "serve", "reference"}:
        return 1
    if first in FEATURES:
        return {"queries": 6, "service": 4, "evidence": 4, "conversation": 4, "habits": 5, "maths": 5, "format": 7, "schemas": 4}.get(
            last, 2 if len(parts) > 1 else 9
        )
    return {"gate": 3, "parts": 4, "reading": 5, "engine": 6, "store": 6, "providers": 6, "errors": 7, "settings": 7, "tls": 6}[first]


def room(name):
    """The folder, or the module that stands beside the folders."""
    return name.split(".")[1] if "." in name else ""


MEETINGS = {
    ("cli", "serve"), ("serve", "app"), ("reference", "app"),
    ("contexts", "analysis"), ("contexts", "trajectory"), ("contexts", "projects"), ("contexts", "idempotency"),
    ("contexts", "audit"), ("keys", "audit"), ("projects", "audit"),
    ("chat", "analysis"), ("chat", "contexts"), ("chat", "usage"),
    ("keys", "projects"), ("parts", "keys"), ("parts", "usage"), ("health", "parts"),
}  # fmt: skip
"""Rooms on one floor of which the first may open the door of the second."""


def test_imports_go_down():
    """Nothing imports from the floor above it, and on one floor only the rooms named may meet."""
    wrong = []
    for name, targets in ours().items():
        for target in targets:
            here, there = layer(name), layer(target)
            rooms = (room(name), room(target))
            meets = rooms[0] == rooms[1] or rooms in MEETINGS or (name.endswith(".queries") and target == "kaiko_server.store.db")
            if there < here or (there == here and not meets):
                wrong.append(f"{name} ({here}) -> {target} ({there})")
    assert not wrong


def test_the_sql_of_a_feature_is_its_own():
    """Queries are called by their own feature's service alone; another feature asks that service."""
    for name, targets in ours().items():
        for target in targets:
            if target.endswith(".queries"):
                assert name == target.replace(".queries", ".service"), f"{name} -> {target}"


def test_sql_is_where_sql_belongs():
    """A statement that names a table stands in a feature's queries.py or in store/, so that a change of the schema is found."""
    statement = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE)\b.*\b(FROM|INTO|SET|TABLE|VALUES)\b", re.DOTALL)
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and statement.match(node.value):
                assert name.endswith(".queries") or room(name) == "store", f"{name}:{node.lineno}"


def test_the_science_knows_names_and_numbers_only():
    """`reading` is pure: of ours it imports names, scores and places, and nothing that reads files, time or the network."""
    pure = {
        "bisect",
        "collections",
        "dataclasses",
        "enum",
        "functools",
        "hashlib",
        "itertools",
        "math",
        "re",
        "statistics",
        "struct",
        "typing",
    }
    for name, tree in MODULES.items():
        if room(name) == "reading":
            for target, line in imports(tree):
                known = target in {"kaiko_server.engine.model", "kaiko_server.engine.layout"} or target.startswith("kaiko_server.reading")
                assert known or target.split(".")[0] in pure, f"{name}:{line} {target}"


def test_no_cycles():
    """No module can be reached from itself."""
    graph, done = ours(), set()

    def visit(name, path):
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            for target in graph[name]:
                visit(target, [*path, name])
            done.add(name)

    for name in graph:
        visit(name, [])


HOMES = {
    "apsw": {"store.sqlite"},
    "asyncpg": {"store.postgres"},
    "onnxruntime": {"engine.onnx"},
    "tokenizers": {"engine.onnx"},
    "cryptography": {"idempotency.service"},
    "emoji": {"engine.text"},
    "numpy": {"engine.onnx", "engine.model", "engine.scores", "trajectory.service"},
    "click": {"cli"},
    "rich": {"cli"},
    "fastapi": {"app", "serve", "gate", "routes", "health.docs"},
    "starlette": {"app", "gate", "routes", "health.sunset", "parts"},
    "uvicorn": {"serve", "gate"},
    "uvloop": {"serve"},
    "structlog": {"gate"},
    "prometheus_client": {"gate.metrics", "health.routes"},
    "httptools": {"gate.protocol"},
    "redis": {"store.valkey"},
    "pydantic": {"schemas"},
    "pydantic_core": {"schemas", "routes", "gate", "health.docs", "contexts.service", "trajectory.service", "audit.service"},
}


@pytest.mark.parametrize("package", HOMES)
def test_each_foreign_thing_has_its_home(package):
    """A library is imported where it lives and nowhere else, so that it can be exchanged in one place."""
    for name, tree in MODULES.items():
        rooms = set(name.split(".")[1:]) | {".".join(name.split(".")[1:])}
        if any(m == package or m.startswith(f"{package}.") for m, _ in imports(tree)):
            assert rooms & HOMES[package], f"{name} imports {package}"


def test_every_foreign_thing_is_known():
    """What is imported and not ours is of the standard library or has a home above."""
    import_names = {m.split(".")[0] for tree in MODULES.values() for m, _ in imports(tree)}
    standard = set(__import__("sys").stdlib_module_names)
    assert import_names - standard - {"kaiko_server"} <= set(HOMES)


def test_only_settings_reads_the_environment():
    """`os.environ` and `os.getenv` are read in settings.py alone."""
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
                assert name == "kaiko_server.settings", f"{name}:{node.lineno}"


def test_no_late_imports():
    """An import inside a function hides a dependency; the command line alone loads its commands late, by name."""
    for name, tree in MODULES.items():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                late = [n.lineno for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
                assert not late, f"{name}:{late}"


def test_functions_are_short():
    """No function is longer than 40 lines, its docstring not counted."""
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = node.body[0] if ast.get_docstring(node) else None
                lines = node.end_lineno - node.lineno + 1
                lines -= docstring.end_lineno - docstring.lineno + 1 if docstring else 0
                assert lines <= 40, f"{name}.{node.name}: {lines}"


def test_broad_excepts_are_few():
    """`except Exception` hides faults: only the gate's outermost layer and the batcher may catch everything."""
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
            ):
                assert name in {"kaiko_server.gate.trace", "kaiko_server.engine.batcher"}, f"{name}:{node.lineno}"


def test_no_global_is_assigned_later():
    """What is built is built in one place and handed down: no `global` statement."""
    for name, tree in MODULES.items():
        assert not [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Global)], name


def test_every_error_has_its_page():
    """Each code of the catalogue has a page under docs/reference/errors, and each page a code."""
    pages = {path.stem for path in (ROOT / "docs" / "reference" / "errors").glob("*.md")} - {"README"}
    assert pages == {code.slug for code in Code}


def test_every_setting_is_documented():
    """The page of settings names each one as an operator sets it."""
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    for field in fields(Settings):
        assert f"KAIKO_{field.name.upper()}" in page
        assert field.metadata["help"]


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_registry_host_is_named():
    """No tracked file names the host of a package registry: locks hold hashes, not places."""
    needles = ["py" + "pi.org", "python" + "hosted", "npm" + "js.org", "deb." + "debian.org", "pkg" + "s.dev.azure", "huggingface" + ".co/"]
    for path in tracked():
        if path.suffix not in {".onnx", ".png"}:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [n for n in needles if n in text], path


def test_every_lock_is_hashed():
    """Every requirement of every lock carries hashes."""
    for lock in (ROOT / "requirements").glob("*.lock"):
        entries = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8"))
        for entry in entries:
            if "==" in entry:
                assert "--hash=sha256:" in entry, entry.splitlines()[0]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_every_lock_names_a_package_once(python, system):
    """On each Python and system a lock gives every package one version."""
    environment = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system, "platform_machine": "x86_64"}
    for lock in (ROOT / "requirements").glob("*.lock"):
        entries = re.findall(r"^([a-z0-9-]+)==[^ ;]+(?: ; ([^\\\n]+))? \\$", lock.read_text(encoding="utf-8"), re.MULTILINE)
        names = [name for name, marker in entries if not marker or Marker(marker.strip()).evaluate(environment)]
        assert len(names) > 20
        assert sorted(names) == sorted(set(names)), lock


def test_the_test_lock_holds_the_run_lock():
    """What is tested is what runs: the test lock holds every entry of the run lock, version for version."""

    def pins(name):
        return {line.split(" \\")[0] for line in (ROOT / "requirements" / name).read_text().splitlines() if re.match(r"[a-z0-9].*==", line)}

    assert pins("run.lock") <= pins("test.lock")


def test_every_test_says_its_promise():
    """Each test has a docstring, and none is skipped or expected to fail."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}:{node.lineno} {node.name}"
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"skip", "skipif", "xfail", "importorskip"}, f"{path.name}:{node.lineno}"


def test_every_ignored_lint_has_a_reason():
    """Each rule that ruff is told to ignore everywhere has its reason beside it."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index("ignore = [")
    for line in lines[start + 1 : lines.index("]", start)]:
        assert re.search(r"# \S+", line), line
    assert tomllib.loads("\n".join(lines))["tool"]["ruff"]["lint"]["select"] == ["ALL"]


def test_file_names_of_features_are_the_usual_ones():
    """A feature's folder holds the files that every feature's folder holds."""
    usual = {"__init__", "routes", "service", "queries", "schemas"}
    own = defaultdict(
        set, analysis={"evidence"}, contexts={"conversation"}, trajectory={"habits", "maths"}, keys={"format"}, health={"docs", "sunset"}
    )
    for feature in FEATURES:
        for path in (SOURCE / feature).glob("*.py"):
            assert path.stem in usual | own[feature], path
