"""All stages in one command: ``python -m training --data DIR``.

Each stage leaves what it made in the runs folder and goes on from there when it is called again.
"""

import json
import shutil
from pathlib import Path

import click
import numpy as np
import torch
from rich.console import Console

from kaiko_server.engine.onnx import OnnxSession, weights_folder
from kaiko_server.reading.safety import danger_of
from training import calibrate, data, figures, report, student, teacher
from training.export import export
from training.labels import GO
from training.refit import refit

DOUBTFUL = (0.25, 0.6)
"""Risks between these are neither danger nor none."""
PRECISE = 0.9
"""Share of what dev calls a crisis that must be one."""
GRID = tuple(round(0.05 * n, 2) for n in range(2, 13))


def thresholds(folder: Path, source: Path, console: Console) -> list[float]:
    """Fit the thresholds of the 28 labels on what the int8 files themselves say of GoEmotions dev."""
    dev = [e for e in data.goemotions(source) if e.part == "dev"]
    scores = report.read(OnnxSession.load(folder, threads=2), [e.text for e in dev], console)
    truth = np.array([[float(k in (e.go or ())) for k in range(len(GO))] for e in dev])
    return [round(float(t), 4) for t in figures.best_thresholds(truth, np.array([s.go for s in scores]))]


def crisis_threshold(folder: Path, console: Console) -> float:
    """Fit from which concern on a text is a crisis: as low as dev allows if nine in ten of those so called are to be dangers."""
    dev = [e for e in data.corpus() if e.part == "dev" and e.safety is not None and not DOUBTFUL[0] < e.safety[0] < DOUBTFUL[1]]
    scores = report.read(OnnxSession.load(folder, threads=2), [e.text for e in dev], console)
    for threshold in GRID:
        called = [e.safety[0] >= DOUBTFUL[1] for e, s in zip(dev, scores, strict=True) if e.safety and danger_of(s, threshold)]
        if called and sum(called) >= PRECISE * len(called):
            return threshold
    return GRID[-1]


def ship(source: Path, runs: Path, folder: Path, console: Console) -> None:
    """Calibrate the student, turn it into int8 ONNX and fit the thresholds on that."""
    reader = student.train(source, runs)
    refit(reader, source)
    calibration = calibrate.calibrate(reader, source)
    used = {name: json.loads(text) for name, text in calibrate.used(runs).items()}
    built = runs / "export"
    export(reader, calibration, built, {"go_thresholds": [0.5] * len(GO), "crisis_threshold": 0.5, "training": used})
    model = json.loads((built / "model.json").read_text(encoding="utf-8"))
    model |= {"go_thresholds": thresholds(built, source, console), "crisis_threshold": crisis_threshold(built, console)}
    (built / "model.json").write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("model.onnx", "tokenizer.json", "model.json"):
        shutil.copyfile(built / name, folder / name)


@click.command()
@click.option(
    "--data", "source", type=click.Path(path_type=Path, exists=True), required=True, help="Folder with goemotions/, emobank/ and davidson/."
)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"), help="Checkpoints and everything on the way.")
@click.option("--weights", type=click.Path(path_type=Path), default=weights_folder(), help="Where the shipped files go.")
def main(source: Path, runs: Path, weights: Path) -> None:
    """Make emotion-v2 from data: teacher, its labels, student, calibration, int8 files."""
    console = Console()
    torch.manual_seed(1)
    console.rule("teacher and its labels")
    teacher.teach(source, runs)
    console.rule("student, calibration, export")
    ship(source, runs, weights, console)
    console.print("`make train-report DATA=…` measures what has been made")


if __name__ == "__main__":
    main()
