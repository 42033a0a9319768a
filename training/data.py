"""Reads the data sets and decides, once and for all, who is trained on what.

The own corpus is split by *unit*, never by sentence: pairs, ladders and topics stay together, and where a file names
neither, a run of neighbouring lines (written in one breath, on one theme) is a unit. ``h_confide`` is kept out whole.
"""

import csv
import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from training.labels import CORE, GO, TRAITS

CORPUS = Path(__file__).parent / "data" / "corpus"
HELD_OUT_FILE = "h_confide"
TRAINED_ONLY = frozenset({"i_turns", "j_irony", "k_daily", "l_warm", "m_hurt"})
"""Written against what a model misread: for training alone, so that the held-back part stays what it was."""
NO_EMOTIONS = frozenset({"f_modes", "f_beliefs"})
DEV_SHARE, TEST_SHARE = 0.06, 0.10
BLOCK = 8
"""Neighbouring lines of a file without groups that stay on one side."""


@dataclass(frozen=True)
class Example:
    """One text with whatever is known of it; an empty tuple or None says "not labelled", never "zero"."""

    text: str
    source: str
    part: str
    """``train``, ``dev``, ``test`` or ``confide``."""
    core: tuple[str, ...] | None = None
    main: str | None = None
    dimensions: tuple[float, float, float] | None = None
    """valence -1..1, arousal 0..1, intensity 0..1."""
    go: tuple[int, ...] | None = None
    emobank: tuple[float, float] | None = None
    """valence and arousal on EmoBank's 1..5."""
    traits: tuple[float, ...] | None = None
    """wonder, empathic concern, personal distress, meta, pattern, 0..1."""
    cue: str = ""
    row: dict[str, object] = field(default_factory=dict, compare=False, hash=False)


def _fraction(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def key(example: Example) -> str:
    """Name a text of a set, so that what is said of it can be laid beside it again."""
    return hashlib.sha256(f"{example.source}|{example.text}".encode()).hexdigest()[:16]


def _unit(name: str, index: int, row: dict[str, object]) -> str:
    for key in ("group", "topic"):
        if key in row and name != "e_safety":  # its topics are one a line: neighbours share a theme instead
            return f"{name}:{key}:{row[key]}"
    return f"{name}:block:{index // BLOCK}"


def _part(name: str, unit: str) -> str:
    if name == HELD_OUT_FILE:
        return "confide"
    if name in TRAINED_ONLY:
        return "train"
    share = _fraction(unit)
    return "test" if share < TEST_SHARE else "dev" if share < TEST_SHARE + DEV_SHARE else "train"


def corpus(folder: Path = CORPUS) -> list[Example]:
    """Give the lines of the own corpus, near copies of held-back lines taken out of the training part."""
    out: list[Example] = []
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for index, line in enumerate(lines):
                row = json.loads(line)
                part = _part(path.stem, _unit(path.stem, index, row))
                out.append(_example(path.stem, part, row))
                if part == "train":
                    out.extend(_arc(path.stem, row))
    return _without_near_copies(out)


def _example(name: str, part: str, row: dict[str, object]) -> Example:
    if name in NO_EMOTIONS:
        return Example(text=str(row["text"]), source=name, part=part, row=row)
    return Example(
        text=str(row["text"]),
        source=name,
        part=part,
        core=tuple(row["core"]),  # type: ignore[arg-type]
        main=str(row["main"]),
        dimensions=(float(row["valence"]), float(row["arousal"]), float(row["intensity"])),  # type: ignore[arg-type]
        traits=tuple(float(row[k]) for k in TRAITS) if "wonder" in row else None,  # type: ignore[arg-type]
        cue=str(row.get("cue", "")),
        row=row,
    )


def _arc(name: str, row: dict[str, object]) -> Iterator[Example]:
    """A long text is read in windows, so each stretch of its arc is an example of its own."""
    for piece in row.get("arc", ()):  # type: ignore[attr-defined]
        text, main = str(row["text"])[piece["start"] : piece["end"]], piece["main"]
        yield Example(text=text, source=name, part="train", core=() if main == "neutral" else (main,), main=main)


def _shingles(text: str) -> set[str]:
    words = "".join(c.lower() if c.isalnum() else " " for c in text).split()
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def _without_near_copies(examples: list[Example], limit: float = 0.5) -> list[Example]:
    held = [_shingles(e.text) for e in examples if e.part != "train"]
    where: dict[str, list[int]] = defaultdict(list)
    for i, shingles in enumerate(held):
        for s in shingles:
            where[s].append(i)

    def copied(text: str) -> bool:
        own, hits = _shingles(text), defaultdict[int, int](int)
        for s in own:
            for i in where.get(s, ()):
                hits[i] += 1
        return any(n / (len(own) + len(held[i]) - n) >= limit for i, n in hits.items())

    return [e for e in examples if e.part != "train" or not copied(e.text)]


def goemotions(folder: Path) -> Iterator[Example]:
    for part in ("train", "dev"):
        with (folder / "goemotions" / f"{part}.tsv").open(encoding="utf-8", newline="") as lines:
            for text, ids, _ in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield Example(text=text, source="goemotions", part=part, go=tuple(int(i) for i in ids.split(",")))


def emobank(folder: Path) -> Iterator[Example]:
    with (folder / "emobank" / "emobank.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["split"] in {"train", "dev"} and row["text"].strip(' ".'):
                yield Example(text=row["text"], source="emobank", part=row["split"], emobank=(float(row["V"]), float(row["A"])))


def tweets(folder: Path) -> Iterator[Example]:
    """Davidson's tweets without their labels: everyday slang for the teacher to read aloud to the student."""
    with (folder / "davidson" / "labeled_data.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            text = row["tweet"].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
            if "&#" not in text:
                yield Example(text=text, source="davidson", part="train")


def everything(folder: Path) -> list[Example]:
    """All examples of all sets, in a fixed order."""
    return [*corpus(), *goemotions(folder), *emobank(folder), *tweets(folder)]


def targets(examples: Iterable[Example]) -> dict[str, list[list[float]]]:
    """Lay the labels out as rows of numbers, NaN where nothing is known."""
    nan = math.nan
    out: dict[str, list[list[float]]] = {"core": [], "main": [], "dimensions": [], "go": [], "emobank": [], "traits": []}
    for e in examples:
        out["core"].append([nan] * 6 if e.core is None else [float(c in e.core) for c in CORE])
        out["main"].append([nan] * 7 if e.main is None else [float(c == e.main) for c in (*CORE, "neutral")])
        out["dimensions"].append([nan] * 3 if e.dimensions is None else list(e.dimensions))
        out["go"].append([nan] * 28 if e.go is None else [float(i in e.go) for i in range(len(GO))])
        out["traits"].append([nan] * len(TRAITS) if e.traits is None else list(e.traits))
        out["emobank"].append([nan] * 2 if e.emobank is None else [v - 3 for v in e.emobank])
    return out
