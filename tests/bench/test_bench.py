"""The benches run: a figure in the docs that nobody can print again is worth nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.client import post
from bench.figures import BAR_CONNECTIONS, names
from bench.measure import Figure, Measurement, ratio
from bench.show import write_between_markers
from bench.texts import sample

ROOT = Path(__file__).parents[2]


def test_every_figure_is_printed_and_every_answer_is_a_200(tmp_path: Path) -> None:
    """A quick run against a real server gives every figure that the docs show."""
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--json", file],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(file.read_text(encoding="utf-8"))
    assert list(report["statuses"]) == ["200"]
    assert list(report["speeds"]) == names()
    for speed in report["speeds"].values():
        assert 0 < speed["p50_ms"]["median"] <= speed["p99_ms"]["median"]
        assert 0 < speed["per_s"]["min"] <= speed["per_s"]["median"] <= speed["per_s"]["max"]
    assert set(report["kept"][f"http {BAR_CONNECTIONS}"]) == {"arrival", "by_length", "best"}
    assert report["start_s"]["again"]["median"] > 0
    assert 0 < report["memory_mib"]["loaded"] <= report["memory_mib"]["peak"]
    assert report["model"].startswith("emotion-v2+")
    for shown in (f"HTTP, {BAR_CONNECTIONS} connections", "the bar is 70%", "Start to first reading", report["machine"]["cpu"]):
        assert shown in done.stdout


def test_the_texts_are_the_same_every_time() -> None:
    """Figures of two runs, or of two machines, are figures of the same texts."""
    assert sample(50) == sample(50)
    assert len(set(sample(50))) == 50


def test_a_ratio_compares_neighbours_in_time() -> None:
    """A machine that slows down half-way changes both sides of a ratio, and so not the ratio."""
    server = [Measurement(100, 2.0, [0.1]), Measurement(100, 4.0, [0.1])]
    session = [Measurement(100, 1.0, [0.1]), Measurement(100, 2.0, [0.1])]
    assert ratio(server, session) == Figure(0.5, 0.5, 0.5)


def test_latency_is_told_by_percentile() -> None:
    """Half of the calls stay below p50 and 99 of a hundred below p99; a single call is both."""
    many = Measurement(101, 1.0, [n / 1000 for n in range(101)])
    assert many.latency_ms(50) == pytest.approx(50)
    assert many.latency_ms(99) == pytest.approx(99)
    assert Measurement(1, 1.0, [0.007]).latency_ms(99) == pytest.approx(7)


def test_a_request_says_how_long_it_is() -> None:
    """The bytes are a whole request: the length is that of the body in bytes, not in characters."""
    head, body = post("/v2/emotions/analysis", "key", ["Grüße 🎉"]).split(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body)["messages"][0]["content"]["text"] == "Grüße 🎉"


def test_figures_replace_those_of_the_last_run(tmp_path: Path) -> None:
    """Writing twice leaves the later figures alone, and the text around them as it was."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n", encoding="utf-8")
    write_between_markers(page, "newer")
    write_between_markers(page, "newest")
    assert page.read_text(encoding="utf-8") == "before\n<!-- bench:begin -->\n\nnewest\n\n<!-- bench:end -->\nafter\n"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    """A page that has lost its marks is an error, not a page that silently keeps old figures."""
    page = tmp_path / "page.md"
    page.write_text("no marks\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no"):
        write_between_markers(page, "figures")
    assert page.read_text(encoding="utf-8") == "no marks\n"
