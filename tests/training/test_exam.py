"""The figures of the exam and the suites of behaviour: what a perfect and a silent model would get."""

import json

import pytest

from kaiko_server.engine.model import CORE, DANGERS, GO, MODES, Scores, Thresholds
from training import data, exam

THRESHOLDS = Thresholds(go=(0.5,) * len(GO), crisis=0.5)
SIZES = {"ladders": 200, "negation": 200, "bias": 120, "named": 16}


@pytest.fixture(scope="module")
def sentences():
    """Every sentence of the exam."""
    return [e for e in data.corpus() if e.part == "exam"]


def scores(example, *, known):
    """Say of *example* what its labels say, or nothing at all."""
    row = example.row if known else {}
    kind = row.get("kind", "none")
    return Scores(
        core=(0.0,) * 6, category=(0.0,) * 6 + (1.0,), go=(0.0,) * len(GO), valence=0, arousal=0, intensity=0, wonder=0,
        empathic_concern=0, personal_distress=0, meta=0, pattern=0, concern=float(row.get("risk", 0)),
        dangers=tuple(float(kind == d) for d in DANGERS), hostility=float(row.get("score", 0)),
        mode=tuple(float(row.get("mode", MODES[0]) == m) for m in MODES), said=(), loudest=(0,) * len(CORE), tokens=2, windows=1,
    )  # fmt: skip


def test_who_knows_the_labels_gets_all(sentences):
    """A model that says what the labels say has every figure at its best."""
    found = exam.measure(sentences, [scores(e, known=True) for e in sentences], THRESHOLDS)
    for name in ("safety.recall", "safety.precision", "safety.kind", "hostility.macro_f1", "hostility.level_macro_f1", "mode.accuracy"):
        assert found[name]["value"] == 1, name


def test_who_says_nothing_gets_nothing(sentences):
    """A model that sees no danger, no hostility and one mode is not helped by the measure."""
    found = exam.measure(sentences, [scores(e, known=False) for e in sentences], THRESHOLDS)
    assert found["safety.recall"]["value"] == 0
    assert "safety.kind" not in found
    assert found["hostility.macro_f1"]["value"] < 0.5
    assert found["mode.accuracy"]["value"] == pytest.approx(1 / 6)


def test_half_of_the_exam_on_safety_is_hard_negatives(sentences):
    """At least 400 sentences, half of them none, and no line is neither danger nor none."""
    risks = [e.row["risk"] for e in sentences if e.source == "x_safety"]
    assert len(risks) >= 400
    assert sum(r >= exam.DANGER for r in risks) == sum(r <= 0.25 for r in risks) == len(risks) / 2


@pytest.mark.parametrize("name", SIZES)
def test_suites_of_behaviour_are_whole(name):
    """Each suite has all its lines, and each line is a JSON object."""
    path = data.CORPUS.parent / "behaviour" / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == SIZES[name]
