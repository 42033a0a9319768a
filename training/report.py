"""What the shipped weights can and cannot do: evaluated from the packaged files alone, without torch.

``python -m training.report --data DIR`` prints the figures and writes ``report.json`` and ``card.md`` beside the weights.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kaiko_server.engine.model import CORE, GO, Scores
from kaiko_server.engine.onnx import OnnxSession, weights_folder
from training import behaviour, card, data, exam, figures, plots
from training.figures import Array
from training.labels import MAIN

CLEAR = 0.2
"""A valence nearer to 0 than this has no sign worth asking for."""
DATA_LICENCES = {
    "corpus": "the project's own, CC BY 4.0; labels by one language-model reader, unchecked by people",
    "goemotions": "GoEmotions (Demszky et al. 2020), CC BY 4.0; official train split, figures on dev",
    "emobank": "EmoBank (Buechel and Hahn 2017), CC BY-SA 4.0; official train split, figures on dev",
    "davidson": "Davidson et al. 2017, MIT; tweets used without their labels, for distillation only",
}
BARS = (
    ("corpus.main", "own corpus, held-back part: main label right", 0.64),
    ("corpus.implicit", "own corpus: implicit ones right", 0.60),
    ("corpus.valence_sign", "own corpus: sign of valence right", 0.90),
    ("goemotions.macro_f1", "GoEmotions dev: macro-F1, cross-fitted thresholds", 0.52),
    ("emobank.valence_r", "EmoBank dev: r of valence", 0.70),
    ("emobank.arousal_r", "EmoBank dev: r of arousal", 0.50),
    ("safety.recall", "exam: danger noticed", 0.95),
    ("safety.precision", "exam: of what is called danger, how much is", 0.90),
    ("safety.named", "danger: the sentences that keyword systems get wrong, told right", 1.0),
    ("hostility.macro_f1", "exam: hostile or not, macro-F1", 0.90),
    ("mode.accuracy", "exam: conversation mode right", 0.85),
    ("behaviour.ladders", "ladders of emphasis in order", 0.95),
    ("behaviour.negation", "negation takes the emotion away", 0.90),
    ("evidence.ratio", "evidence: fall without the two named words, in falls without two random ones", 3.0),
)
"""What the model must reach."""
CEILINGS = (
    ("corpus.confidence_ece", "own corpus: expected calibration error of confidence", 0.05),
    ("goemotions.mean_ece", "GoEmotions dev: mean of the labels' expected calibration errors", 0.02),
    ("bias.names", "names: the most that a group's mean reading is off", 0.03),
    ("bias.pronouns", "pronouns: the same", 0.03),
    ("bias.identities", "identities: the same", 0.03),
    ("bias.dialects", "dialects: the most that a variety's mean reading is off the standard's", 0.03),
)
"""What it must not exceed."""
Figures = dict[str, dict[str, float]]


def read(session: OnnxSession, texts: Sequence[str], console: Console) -> list[Scores]:
    """Read *texts* just as the server does, windows and all, with a bar that says how far it is."""
    found: list[Scores] = []
    with Progress(console=console, transient=True) as progress:
        for start in progress.track(range(0, len(texts), 128), description="reading"):
            found += session.predict(texts[start : start + 128])
    return found


def _category(scores: Sequence[Scores]) -> list[int]:
    return [int(np.argmax(s.category)) for s in scores]


def on_corpus(name: str, examples: Sequence[data.Example], scores: Sequence[Scores]) -> Figures:
    """Figures on sentences of the own corpus that have a main label."""
    truth = [MAIN.index(e.main or "neutral") for e in examples]
    said = _category(scores)
    implicit = [i for i, e in enumerate(examples) if e.cue == "implicit"]
    signed = [i for i, e in enumerate(examples) if e.dimensions and abs(e.dimensions[0]) >= CLEAR]
    gold = np.array([e.dimensions for e in examples])
    ours = np.array([(s.valence, s.arousal, s.intensity) for s in scores])
    confidence = np.array([max(s.category) for s in scores])
    core = np.array([[float(c in (e.core or ())) for c in CORE] for e in examples])
    core_said = np.array([s.core for s in scores])
    out = {
        f"{name}.main": figures.accuracy(truth, said),
        f"{name}.implicit": figures.accuracy([truth[i] for i in implicit], [said[i] for i in implicit]),
        f"{name}.valence_sign": figures.accuracy([int(gold[i, 0] > 0) for i in signed], [int(ours[i, 0] > 0) for i in signed]),
        f"{name}.core_map": figures.interval(
            lambda r: float(np.mean([figures.average_precision(core[r, k], core_said[r, k]) for k in range(6)])), len(truth)
        ),
    }
    for k, dimension in enumerate(("valence", "arousal", "intensity")):
        out[f"{name}.{dimension}_r"] = figures.interval(lambda r, k=k: figures.pearson(gold[r, k], ours[r, k]), len(truth))  # type: ignore[misc]
    right = (np.array(truth) == np.array(said)).astype(float)
    return out | {
        f"{name}.confidence_ece": figures.interval(lambda r: figures.expected_calibration_error(confidence[r], right[r]), len(truth)),
        f"{name}.confidence_brier": figures.interval(lambda r: float(((confidence[r] - right[r]) ** 2).mean()), len(truth)),
        f"{name}.core_mean_ece": figures.interval(lambda r: figures.mean_calibration_error(core_said[r], core[r]), len(truth)),
    }


def reliability(
    own: Sequence[data.Example], scores: Sequence[Scores], public: Sequence[data.Example], said: Sequence[Scores]
) -> dict[str, list[dict[str, float]]]:
    """What is claimed against what is so: of the category's confidence, of the six emotions and of the 28 labels, all labels pooled."""
    right = np.array([MAIN[k] == e.main for e, k in zip(own, _category(scores), strict=True)], float)
    found = {
        "confidence": figures.reliability(np.array([max(s.category) for s in scores]), right),
        "six core emotions": figures.reliability(
            np.array([s.core for s in scores]).ravel(), np.array([[float(c in (e.core or ())) for c in CORE] for e in own]).ravel()
        ),
    }
    if public:
        truth = np.array([[float(k in (e.go or ())) for k in range(len(GO))] for e in public])
        found["28 GoEmotions labels"] = figures.reliability(np.array([s.go for s in said]).ravel(), truth.ravel())
    return found


def as_first_labelled(example: data.Example) -> data.Example:
    """Give *example* with its labels as they were before a second and a third reader mended some of the held-back part."""
    if "first" not in example.row:
        return example
    row = {**example.row, **example.row["first"]}  # type: ignore[dict-item]
    assert example.dimensions is not None  # they were mended where there were labels
    dimensions = (float(row["valence"]), *example.dimensions[1:])  # type: ignore[arg-type]
    return replace(example, main=str(row["main"]), core=tuple(row["core"]), dimensions=dimensions)  # type: ignore[arg-type]


def by_label(examples: Sequence[data.Example], scores: Sequence[Scores]) -> dict[str, dict[str, float]]:
    """Precision, recall and rows of each main label."""
    truth, said = np.array([MAIN.index(e.main or "neutral") for e in examples]), np.array(_category(scores))
    out = {}
    for k, label in enumerate(MAIN):
        hits = float(((truth == k) & (said == k)).sum())
        out[label] = {
            "precision": hits / max(1, (said == k).sum()),
            "recall": hits / max(1, (truth == k).sum()),
            "rows": int((truth == k).sum()),
        }
    return out


def by_cue(examples: Sequence[data.Example], scores: Sequence[Scores]) -> dict[str, dict[str, float]]:
    """How many are right for each kind of cue that has 15 rows or more."""
    right: dict[str, list[bool]] = {}
    for e, said in zip(examples, _category(scores), strict=True):
        if e.cue:
            right.setdefault(e.cue, []).append(MAIN[said] == e.main)
    return {cue: {"accuracy": float(np.mean(r)), "rows": len(r)} for cue, r in sorted(right.items()) if len(r) >= 15}


def on_goemotions(examples: Sequence[data.Example], scores: Sequence[Scores]) -> tuple[Figures, dict[str, dict[str, float]], Array]:
    truth = np.array([[float(k in (e.go or ())) for k in range(len(GO))] for e in examples])
    score = np.array([s.go for s in scores])
    said = figures.crossfitted(truth, score)
    found = {
        "goemotions.macro_f1": figures.interval(lambda r: float(figures.f1(truth[r], said[r]).mean()), len(truth)),
        "goemotions.micro_f1": figures.interval(lambda r: figures.micro_f1(truth[r], said[r]), len(truth)),
        "goemotions.mean_ece": figures.interval(lambda r: figures.mean_calibration_error(score[r], truth[r]), len(truth)),
        "goemotions.map": figures.interval(
            lambda r: float(np.mean([figures.average_precision(truth[r, k], score[r, k]) for k in range(len(GO))])), len(truth)
        ),
    }
    each = figures.f1(truth, said)
    table = {
        label: {
            "f1": float(each[k]),
            "average_precision": figures.average_precision(truth[:, k], score[:, k]),
            "ece": figures.expected_calibration_error(score[:, k], truth[:, k]),
            "rows": int(truth[:, k].sum()),
        }
        for k, label in enumerate(GO)
    }
    return found, table, figures.best_thresholds(truth, score)


def on_emobank(examples: Sequence[data.Example], scores: Sequence[Scores]) -> Figures:
    gold = np.array([e.emobank for e in examples])
    ours = np.array([(s.valence, s.arousal) for s in scores])
    return {
        f"emobank.{name}_r": figures.interval(lambda r, k=k: figures.pearson(gold[r, k], ours[r, k]), len(gold))  # type: ignore[misc]
        for k, name in enumerate(("valence", "arousal"))
    }


def on_traits(examples: Sequence[data.Example], scores: Sequence[Scores]) -> Figures:
    gold = np.array([e.traits for e in examples])
    ours = np.array([(s.wonder, s.empathic_concern, s.personal_distress, s.meta, s.pattern) for s in scores])
    return {
        f"traits.{name}_r": figures.interval(lambda r, k=k: figures.pearson(gold[r, k], ours[r, k]), len(gold))  # type: ignore[misc]
        for k, name in enumerate(("wonder", "empathic_concern", "personal_distress", "meta", "pattern"))
    }


def evaluate(folder: Path, source: Path | None, console: Console) -> dict[str, object]:
    """Measure the weights in *folder*; without *source* on the own corpus alone."""
    session = OnnxSession.load(folder, threads=2)
    own = data.corpus()
    parts: dict[str, list[data.Example]] = {
        "corpus": [e for e in own if e.part == "test" and e.main],
        "confide": [e for e in own if e.part == "confide"],
        "traits": [e for e in own if e.part in {"test", "dev"} and e.traits],
        "exam": [e for e in own if e.part == "exam"],
    }
    if source is not None:
        public = [*data.goemotions(source), *data.emobank(source)]
        parts |= {name: [e for e in public if e.source == name and e.part == "dev"] for name in ("goemotions", "emobank")}
    scores = {name: read(session, [e.text for e in examples], console) for name, examples in parts.items()}
    found: Figures = {}
    for name in ("corpus", "confide"):
        found |= on_corpus(name, parts[name], scores[name])
    before = on_corpus("corpus_first_labels", [as_first_labelled(e) for e in parts["corpus"]], scores["corpus"])
    found |= {name: value for name, value in before.items() if name.endswith((".main", ".implicit", ".valence_sign"))}
    found |= on_traits(parts["traits"], scores["traits"])
    found |= exam.measure(parts["exam"], scores["exam"], session.thresholds)
    found |= exam.everyday(parts["corpus"], scores["corpus"], session.thresholds)
    with console.status("behaviour"):
        found |= behaviour.measure(session, [e.text for e in parts["corpus"]])
    report: dict[str, object] = {
        "labels": by_label(parts["corpus"], scores["corpus"]),
        "cues": by_cue([*parts["corpus"], *parts["confide"]], [*scores["corpus"], *scores["confide"]]),
    }
    report["languages"] = behaviour.languages()
    if source is not None:
        go, table, _ = on_goemotions(parts["goemotions"], scores["goemotions"])
        found |= go | on_emobank(parts["emobank"], scores["emobank"])
        report["goemotions_labels"] = table
    own_scores = [*scores["corpus"], *scores["confide"]]
    public, said = parts.get("goemotions", []), scores.get("goemotions", [])
    report["reliability"] = reliability([*parts["corpus"], *parts["confide"]], own_scores, public, said)
    return {"figures": found} | report


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent)  # noqa: S607
    return found.stdout.strip() or "not in a git checkout"


def show(report: Mapping[str, object], console: Console) -> bool:
    """Print the bars, and whether each is reached."""
    found: Figures = report["figures"]  # type: ignore[assignment]
    table = Table(title="emotion-v2, from the shipped int8 weights")
    for name in ("figure", "value", "95 % interval", "rows", "must be", ""):
        table.add_column(name, justify="left" if name == "figure" else "right")
    bars = {key: (text, bar, "≥") for key, text, bar in BARS} | {key: (text, bar, "≤") for key, text, bar in CEILINGS}
    reached = True
    for key, value in found.items():
        text, bar, sign = bars.get(key, (key, None, ""))
        ok = bar is None or (value["value"] >= bar if sign == "≥" else value["value"] <= bar)
        reached &= ok
        mark = "" if bar is None else "[green]yes[/]" if ok else "[red]no[/]"
        span = f"{value['low']:.3f} … {value['high']:.3f}"
        table.add_row(text, f"{value['value']:.3f}", span, str(value["rows"]), "" if bar is None else f"{sign} {bar:.2f}", mark)
    console.print(table)
    return reached


@click.command()
@click.option(
    "--data",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of the public data sets; without it, the own corpus alone.",
)
@click.option("--weights", type=click.Path(path_type=Path, exists=True), default=weights_folder(), help="Folder of the weights.")
@click.option("--write/--no-write", default=True, help="Write report.json and card.md beside the weights (only with --data).")
def main(source: Path | None, weights: Path, *, write: bool) -> None:
    """Evaluate the shipped weights alone."""
    console = Console()
    report = evaluate(weights, source, console)
    model = json.loads((weights / "model.json").read_text(encoding="utf-8"))
    report |= {
        "model": model["version"],
        "training": model.get("training", {}),
        "data": DATA_LICENCES,
        "commit": _commit(),
        "command": shlex.join(["python", "-m", "training.report", *(["--data", "DIR"] if source else [])]),
        "bytes": {
            p.name: p.stat().st_size for p in sorted(weights.iterdir()) if p.suffix in {".onnx", ".json"} and p.name != "report.json"
        },
    }
    reached = show(report, console)
    if write and source is not None:
        (weights / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (weights / "card.md").write_text(card.render(report, (*BARS, *CEILINGS)), encoding="utf-8")
        (weights / "reliability.svg").write_text(plots.reliability(report["reliability"]), encoding="utf-8")  # type: ignore[arg-type]
        console.print(f"written: report.json, card.md and reliability.svg in {weights}")
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
