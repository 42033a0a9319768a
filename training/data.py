"""Reads the data sets and decides, once and for all, who is trained on what.

The own corpus is split by *unit*, never by sentence: pairs, ladders and topics stay together, and where a file names
neither, a run of neighbouring lines (written in one breath, on one theme) is a unit. Some files are kept out whole.
"""

import csv
import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from training.labels import CORE, GO, MODES, SAFETY, TRAITS

CORPUS = Path(__file__).parent / "data" / "corpus"
KEPT_OUT = {"h_confide": "confide", "x_safety": "exam", "x_hostility": "exam", "x_modes": "exam"}
"""Files that nothing is ever trained or tuned on, and the part that each makes up; those of the exam are by an author of their own."""
LATER = {
    **dict.fromkeys(("i_turns", "j_irony", "k_daily", "l_warm", "m_hurt"), 2),
    **dict.fromkeys(("n_home", "o_meant", "p_desk", "q_chat", "r_turns", "s_journal"), 3),
    **dict.fromkeys(("t_safety", "u_hostility", "v_modes", "w_beliefs"), 3),
    **dict.fromkeys(("y_danger", "y_deeds", "y_desk", "y_sharp", "y_spite", "y_teens", "y_told", "y_turns"), 4),
    **dict.fromkeys(("z_danger", "z_deeds", "z_desk", "z_teens", "z_told", "z_turns"), 5),
    **dict.fromkeys(("zz_danger", "zz_home", "zz_office", "zz_spite"), 6),
    **dict.fromkeys(("zzz_body", "zzz_craft", "zzz_kin", "zzz_road", "zzz_short", "zzz_trade", "zzz_young"), 7),
    **dict.fromkeys(("zzz_danger", "zzz_sharp", "zzz_spite"), 7),
}
"""The round of writing that a file came with, where it was not the first. Written against what a model misread, these files
are for training, so that the held-back part stays what it was; and a network that learnt from the earlier rounds goes on from
there."""
TUNED_ON = frozenset({"t_safety", "u_hostility", "v_modes", "w_beliefs", "y_danger", "y_spite"})
"""Files of later rounds that give lines to the dev part too: for their heads the first round holds too few."""
NO_EMOTIONS = frozenset({"f_modes", "f_beliefs", "v_modes", "w_beliefs", "x_modes"})
PUBLIC = frozenset({"goemotions", "emobank", "davidson"})
HARMLESS = frozenset({"g_neutral", "g_dims", "f_beliefs"})
"""Files in which nobody is in danger and nobody is insulted."""
SECOND_MODE = 0.25
"""What a mode that a message asks for besides its main one gets of the share."""
DEV_SHARE, TEST_SHARE = 0.06, 0.10
BLOCK = 8
"""Neighbouring lines of a file without groups that stay on one side."""


@dataclass(frozen=True)
class Example:
    """One text with whatever is known of it; an empty tuple or None says "not labelled", never "zero"."""

    text: str
    source: str
    part: str
    """``train``, ``dev``, ``test``, ``confide`` or ``exam``."""
    core: tuple[str, ...] | None = None
    main: str | None = None
    dimensions: tuple[float, float, float] | None = None
    """valence -1..1, arousal 0..1, intensity 0..1."""
    go: tuple[int, ...] | None = None
    emobank: tuple[float, float] | None = None
    """valence and arousal on EmoBank's 1..5."""
    traits: tuple[float, ...] | None = None
    """wonder, empathic concern, personal distress, meta, pattern, 0..1."""
    safety: tuple[float, ...] | None = None
    """Probabilities in the order of ``SAFETY``; NaN for a kind that the file does not tell."""
    hostility: float | None = None
    """0..1."""
    mode: tuple[float, ...] | None = None
    """Shares in the order of ``MODES``, adding up to 1."""
    beliefs: tuple[tuple[str, int, int], ...] | None = None
    """Type, start and end (characters of the text) of each belief."""
    cue: str = ""
    row: dict[str, object] = field(default_factory=dict, compare=False, hash=False)

    @property
    def round(self) -> int:
        """The round of writing that brought this text: 1 is the first corpus and all public sets."""
        return LATER.get(self.source, 1)

    @property
    def labelled(self) -> bool:
        """Whether readers, and not the teacher alone, have said anything of it."""
        return self.core is not None or self.go is not None or self.emobank is not None or self.has_task

    @property
    def has_task(self) -> bool:
        """Whether it tells of safety, hostility, mode or beliefs."""
        return not (self.safety is None and self.hostility is None and self.mode is None and self.beliefs is None)


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
    if name in KEPT_OUT:
        return KEPT_OUT[name]
    share = _fraction(unit)
    if name in LATER:
        return "dev" if name in TUNED_ON and share < DEV_SHARE else "train"
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
    tasks = {"safety": _safety(name, row), "hostility": _hostility(name, row), "mode": _mode(row), "beliefs": _beliefs(row)}
    if name in NO_EMOTIONS:
        return Example(text=str(row["text"]), source=name, part=part, row=row, **tasks)  # type: ignore[arg-type]
    return Example(
        text=str(row["text"]),
        source=name,
        part=part,
        **tasks,  # type: ignore[arg-type]
        core=tuple(row["core"]),  # type: ignore[arg-type]
        main=str(row["main"]),
        dimensions=(float(row["valence"]), float(row["arousal"]), float(row["intensity"])),  # type: ignore[arg-type]
        traits=tuple(float(row[k]) for k in TRAITS) if "wonder" in row else None,  # type: ignore[arg-type]
        cue=str(row.get("cue", "")),
        row=row,
    )


def _safety(name: str, row: dict[str, object]) -> tuple[float, ...] | None:
    if "risk" not in row:
        return (0.0,) * len(SAFETY) if name in HARMLESS else None
    risk, kind = float(row["risk"]), row["kind"]  # type: ignore[arg-type]
    if kind == "third_party":  # it says that somebody is in danger, not in which
        return risk, math.nan, math.nan, math.nan
    return risk, *(risk if kind == danger else 0.0 for danger in SAFETY[1:])


def _hostility(name: str, row: dict[str, object]) -> float | None:
    if "level" in row:
        return float(row["score"])  # type: ignore[arg-type]
    return 0.0 if name in HARMLESS else None


def _mode(row: dict[str, object]) -> tuple[float, ...] | None:
    if "mode" not in row:
        return None
    also: list[str] = row["also"]  # type: ignore[assignment]
    second = SECOND_MODE if also else 0.0
    return tuple((m == row["mode"]) * (1 - second) + (m in also) * second / max(1, len(also)) for m in MODES)


def _beliefs(row: dict[str, object]) -> tuple[tuple[str, int, int], ...] | None:
    if "beliefs" not in row:
        return None
    return tuple((b["type"], b["start"], b["end"]) for b in row["beliefs"])  # type: ignore[attr-defined]


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
    out |= {"safety": [], "hostility": [], "mode": []}
    for e in examples:
        out["core"].append([nan] * 6 if e.core is None else [float(c in e.core) for c in CORE])
        out["main"].append([nan] * 7 if e.main is None else [float(c == e.main) for c in (*CORE, "neutral")])
        out["dimensions"].append([nan] * 3 if e.dimensions is None else list(e.dimensions))
        out["go"].append([nan] * 28 if e.go is None else [float(i in e.go) for i in range(len(GO))])
        out["traits"].append([nan] * len(TRAITS) if e.traits is None else list(e.traits))
        out["safety"].append([nan] * len(SAFETY) if e.safety is None else list(e.safety))
        out["hostility"].append([nan if e.hostility is None else e.hostility])
        out["mode"].append([nan] * len(MODES) if e.mode is None else list(e.mode))
        out["emobank"].append([nan] * 2 if e.emobank is None else [v - 3 for v in e.emobank])
    return out
