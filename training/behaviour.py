"""How the model behaves where it should be predictable: ladders of emphasis, negation, other names, and what it says it rests on.

After CheckList (Ribeiro et al. 2020); the sentences are in ``data/behaviour``, by hand, and nothing is trained or tuned on them.
"""

import asyncio
import json
import math
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaiko_server.analysis.evidence import explain
from kaiko_server.engine.language import detect_language
from kaiko_server.engine.layout import Layout
from kaiko_server.engine.model import CORE, Scores, Thresholds, Timing
from kaiko_server.engine.onnx import OnnxSession
from kaiko_server.engine.words import content_words, without
from kaiko_server.reading.item import NEUTRAL, category_of
from kaiko_server.reading.safety import danger_of
from training import figures

FOLDER = Path(__file__).parent / "data" / "behaviour"
NAMES = {
    "English": ("Emily", "Greg", "Anne", "Todd", "Claire", "Geoffrey"),
    "African American": ("Lakisha", "Jamal", "Ebony", "Darnell", "Latoya", "Tyrone"),
    "Arabic": ("Fatima", "Mohammed", "Aisha", "Omar", "Layla", "Yusuf"),
    "Chinese": ("Mei", "Wei", "Xiaoling", "Jun", "Lihua", "Qiang"),
    "Indian": ("Priya", "Rahul", "Ananya", "Vikram", "Sunita", "Arjun"),
    "Hispanic": ("Guadalupe", "José", "Lucía", "Diego", "Marisol", "Javier"),
    "Nigerian": ("Ngozi", "Chinedu", "Folake", "Emeka", "Adaeze", "Tunde"),
    "Jewish": ("Rivka", "Moshe", "Shoshana", "Yitzhak", "Miriam", "Avi"),
    "Polish": ("Agnieszka", "Krzysztof", "Małgorzata", "Wojciech", "Zofia", "Tomasz"),
}
PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her")}
IDENTITIES = (
    "a Muslim man", "a Black woman", "a gay man", "an old woman", "a disabled man", "an immigrant", "a Jewish woman", "a white man",
    "a trans woman", "a Christian woman",
)  # fmt: skip
EVIDENCE_TEXTS = 500
Figures = dict[str, dict[str, float]]


def _lines(name: str) -> list[dict[str, object]]:
    with (FOLDER / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def measure(session: OnnxSession, texts: Sequence[str]) -> Figures:
    """Give all figures; the faithfulness of the evidence over the first of *texts*."""
    return ladders(session) | negation(session) | named(session) | bias(session) | evidence(session, texts[:EVIDENCE_TEXTS])


def languages() -> dict[str, dict[str, float]]:
    """For each language of the test sentences: how many are marked as not to be trusted, and how many get its name; shares, and rows."""
    found: dict[str, list[tuple[bool, bool]]] = {}
    for row in _lines("languages"):
        told = detect_language(str(row["text"]))
        found.setdefault(str(row["language"]), []).append((not told.supported, told.tag == row["language"]))
    return {
        language: {"marked": float(np.mean([m for m, _ in said])), "named": float(np.mean([n for _, n in said])), "rows": len(said)}
        for language, said in found.items()
    }


def ladders(session: OnnxSession) -> Figures:
    """Share of ladders on which no step reads as weaker than the one before."""
    steps: list[list[str]] = [row["steps"] for row in _lines("ladders")]  # type: ignore[misc]
    held = []
    for ladder in steps:
        strength = [s.intensity for s in session.predict(ladder)]
        held.append(all(a <= b for a, b in pairwise(strength)))
    right = np.array(held, float)
    return {"behaviour.ladders": figures.interval(lambda r: float(right[r].mean()), len(right))}


def negation(session: OnnxSession) -> Figures:
    """Share of pairs in which the negated sentence is no longer read as the emotion of the plain one."""
    rows = _lines("negation")
    negated = session.predict([str(row["negated"]) for row in rows])
    right = np.array([category_of(s) != row["emotion"] for s, row in zip(negated, rows, strict=True)], float)
    return {"behaviour.negation": figures.interval(lambda r: float(right[r].mean()), len(right))}


def named(session: OnnxSession) -> Figures:
    """Share of the sentences that keyword systems are known to get wrong which are told right: danger, or none."""
    rows = _lines("named")
    said = session.predict([str(row["text"]) for row in rows])
    right = np.array(
        [(danger_of(s, session.thresholds.crisis) is not None) == row["danger"] for s, row in zip(said, rows, strict=True)], float
    )
    return {"safety.named": figures.interval(lambda r: float(right[r].mean()), len(right))}


def _numbers(scores: Scores) -> list[float]:
    return [scores.valence, scores.intensity, scores.concern, scores.hostility]


def bias(session: OnnxSession) -> Figures:
    """By how much the mean reading of any group lies off that of all: the most, over valence, intensity, concern and hostility."""
    rows = _lines("bias")
    texts = {kind: [str(row["text"]) for row in rows if row["kind"] == kind] for kind in ("name", "pronoun", "identity")}
    groups: dict[str, Mapping[str, list[str]]] = {
        "names": {g: [t.replace("{X}", n) for t in texts["name"] for n in names] for g, names in NAMES.items()},
        "pronouns": {
            g: [t.replace("{he}", he).replace("{him}", him).replace("{his}", his) for t in texts["pronoun"]]
            for g, (he, him, his) in PRONOUNS.items()
        },
        "identities": {g: [t.replace("{X}", g) for t in texts["identity"]] for g in IDENTITIES},
    }
    out = {}
    for name, said in groups.items():
        means = np.array([np.mean([_numbers(s) for s in session.predict(lines)], axis=0) for lines in said.values()])
        out[f"bias.{name}"] = _most(means - means.mean(axis=0), len(next(iter(said.values()))))
    pairs = [row for row in rows if row["kind"] == "dialect"]
    standard, dialect = (session.predict([str(row[key]) for row in pairs]) for key in ("standard", "dialect"))
    moved = np.array([_numbers(b) for b in dialect]) - np.array([_numbers(a) for a in standard])
    varieties = np.array([row["variety"] for row in pairs])
    out["bias.dialects"] = _most(np.array([moved[varieties == v].mean(axis=0) for v in sorted(set(varieties))]), len(pairs))
    return out


def _most(off: figures.Array, rows: int) -> dict[str, float]:
    most = float(np.abs(off).max())
    return {"value": most, "low": most, "high": most, "rows": rows}


class _Here:
    """The session as a :class:`~kaiko_server.engine.model.Model`, without a queue."""

    def __init__(self, session: OnnxSession) -> None:
        self._session = session
        self.version, self.ready = session.version, True

    @property
    def thresholds(self) -> Thresholds:
        return self._session.thresholds

    async def layout(self, text: str) -> Layout:
        return self._session.layout(text)

    async def predict(self, texts: Sequence[str]) -> list[Scores]:
        return self._session.predict(texts)

    async def again(self, texts: Sequence[str]) -> list[Scores]:
        return self._session.predict(texts)

    async def predict_timed(self, texts: Sequence[str]) -> tuple[list[Scores], Timing]:
        return self._session.predict(texts), Timing(0.0, 0.0)

    def by_itself(self) -> "_Here":
        return self


def evidence(session: OnnxSession, texts: Sequence[str]) -> Figures:
    """How many times more the category's score falls without the two words named first than without two at random."""
    chance = random.Random(1)  # noqa: S311 - a choice, not a secret
    model, falls = _Here(session), []
    for text, scores in zip(texts, session.predict(texts), strict=True):
        label, words = category_of(scores), content_words(text)
        if label == NEUTRAL or len(words) < 4:  # two of them at random must be able to be others
            continue
        named = asyncio.run(explain(model, text, scores))[:2]
        spans = sorted((int(n["start"]), int(n["end"])) for n in named)  # type: ignore[call-overload]
        count = sum(any(start <= a and b <= end for start, end in spans) for a, b in words)  # a phrase counts as its words
        rest = [without(text, spans), without(text, sorted(chance.sample(words, max(2, count))))]
        at = CORE.index(label)
        falls.append([scores.core[at] - s.core[at] for s in session.predict(rest)])
    fall = np.array(falls)

    def ratio(rows: NDArray[np.int64]) -> float:
        named, other = fall[rows].mean(axis=0)
        return float(named / other) if other > 0 else math.nan

    return {"evidence.ratio": figures.interval(ratio, len(fall))}
