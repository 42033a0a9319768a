"""``kaiko analyze``: texts read here, without a server, for people (bars) or for machines (JSON lines)."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from kaiko_server.cli.common import as_json, data_dir, one_line
from kaiko_server.engine.language import detect_language
from kaiko_server.engine.model import Scores
from kaiko_server.engine.onnx import OnnxSession
from kaiko_server.engine.words import Span, sentence_spans
from kaiko_server.reading.item import emotion_item
from kaiko_server.reading.safety import danger_of, sentences_of_danger

MAX_CHARACTERS = 10_000
_MAX_BYTES = 4 * (MAX_CHARACTERS + 2)
"""A line of more bytes is too long, whatever its characters; with room for its end."""
_AT_ONCE = 128
"""Texts read together: enough for speed, few enough that the first lines show at once and memory stays level."""
_COLOURS = {
    "joy": "yellow", "love": "magenta", "sadness": "blue", "anger": "red", "fear": "cyan", "surprise": "green", "neutral": "white",
}  # fmt: skip
_BAR = 24
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SHOWN_TEXT = 30


@dataclass(frozen=True)
class _Line:
    number: int | None
    """In standard input, from 1."""
    text: str


@click.command("analyze")
@click.argument("text")
@as_json
@click.option("--detailed", is_flag=True, help="With --json: the 28 GoEmotions labels in `raw`, not the six.")
@data_dir
def command(text: str, as_json: bool, detailed: bool, data_dir: object) -> None:  # noqa: ARG001, FBT001 - every command takes --data-dir
    """Read TEXT, or with - one text a line from standard input. Nothing is kept."""
    many = text == "-"
    lines = _lines(sys.stdin.buffer) if many else iter([_Line(None, text)])
    with one_line():
        session = OnnxSession.load(threads=0)
    ok, empty = True, True
    with _progress(shown=many and sys.stderr.isatty() and not sys.stdout.isatty()) as progress:
        task = progress.add_task("read")
        for chunk in iter(lambda: list(islice(lines, _AT_ONCE)), []):
            good = [line for line in chunk if not _refused(line)]
            ok &= len(good) == len(chunk)
            items = _items(session, [line.text for line in good], detailed=detailed)
            for line, item in zip(good, items, strict=True):
                _show(line, item, many=many, as_json=as_json, first=empty)
                empty = False
            progress.update(task, advance=len(chunk))
    if many and empty and ok:
        click.echo("Nothing to read: standard input held no text.", err=True)
    sys.exit(0 if ok else 1)


def _lines(source: BinaryIO) -> Iterator[_Line]:
    """Give the lines that hold something; what is not UTF-8 comes as lone surrogates, and no line is held beyond what may be read."""
    for number in count(1):
        line = source.readline(_MAX_BYTES)
        if not line:
            return
        end = line
        while len(end) == _MAX_BYTES and not end.endswith(b"\n"):
            end = source.readline(_MAX_BYTES)
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if text.strip() or end is not line:
            yield _Line(number, text)


def _refused(line: _Line) -> bool:
    """Say on standard error why a line is not read, if it is not; the text itself is not repeated."""
    why = None
    if len(line.text) > MAX_CHARACTERS:
        why = f"longer than {MAX_CHARACTERS:,} characters"
    elif not line.text.strip():
        why = "there is no text"
    elif not line.text.isascii() and any("\ud800" <= c <= "\udfff" for c in line.text):
        why = "not valid UTF-8"
    if why:
        click.echo(f"line {line.number}: not read: {why}" if line.number else f"Error: {why}", err=True)
    return why is not None


def _items(session: OnnxSession, texts: list[str], *, detailed: bool) -> Iterable[dict[str, object]]:
    for text, scores in zip(texts, session.predict(texts), strict=True):
        yield emotion_item(
            scores,
            text=text,
            language=detect_language(text).tag,
            thresholds=session.thresholds,
            model_version=session.version,
            granularity="detailed" if detailed else "core",
            danger=_danger(session, text, scores),
        )


def _danger(session: OnnxSession, text: str, scores: Scores) -> Sequence[Span]:
    threshold = session.thresholds.crisis
    if danger_of(scores, threshold) is None:
        return ()
    return sentences_of_danger(session.layout(text), sentence_spans(text), scores, threshold)


def _progress(*, shown: bool) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} texts read"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True)


def _show(line: _Line, item: dict[str, object], *, many: bool, as_json: bool, first: bool) -> None:
    if as_json:
        click.echo(json.dumps(({"line": line.number} if many else {}) | item, ensure_ascii=False))
    elif many:
        _row(item, first=first)
    else:
        _page(item)


def _bar(value: float, width: int = _BAR) -> str:
    whole, part = divmod(round(value * width * 8), 8)
    return ("█" * whole + (_EIGHTHS[part] if part else "")).ljust(width)


def _signed_bar(value: float, width: int = _BAR) -> str:
    """Draw -1..1 from the middle: to the left what is unpleasant, to the right what is pleasant."""
    half = width // 2
    filled = min(half, round(abs(value) * half))
    left, right = ("█" * filled, "") if value < 0 else ("", "█" * filled)
    return left.rjust(half, "·") + "│" + right.ljust(half, "·")


def _page(item: dict[str, object]) -> None:
    """Show one reading at length."""
    console, colour = Console(highlight=False), _COLOURS[str(item["category"])]
    confidence = _number(item, "confidence")
    console.print(f"\n  [bold {colour}]{item['category']}[/]  {confidence:.0%} sure, {item['intensityLevel']} intensity\n")
    raw: dict[str, float] = item["raw"]  # type: ignore[assignment]
    for label, value in sorted(raw.items(), key=lambda pair: -pair[1])[:8]:
        console.print(f"  {label:<10} [{_COLOURS.get(label, 'white')}]{_bar(value)}[/] {value:.2f}")
    console.print()
    valence = _number(item, "valence")
    console.print(f"  {'valence':<10} {_signed_bar(valence)} {valence:+.2f}")
    for name in ("arousal", "intensity"):
        console.print(f"  {name:<10} {_bar(_number(item, name))} {_number(item, name):.2f}")
    console.print(f"  {'wonder':<10} {_bar(_number(item, 'wonderIndex'))} {_number(item, 'wonderIndex'):.2f}")
    _warnings(console, item)
    labels: list[str] = item["activeLabels"]  # type: ignore[assignment]
    console.print(f"\n  labels: {', '.join(labels) or 'none'}   language: {item['language']}\n")


def _warnings(console: Console, item: dict[str, object]) -> None:
    """Say what asks for a person's attention: danger, and hostility."""
    if "safety" in item:
        safety: dict[str, object] = item["safety"]  # type: ignore[assignment]
        kind = str(safety["kind"]).replace("_", "-")
        concern = _number(item, "safetyConcernScore")
        console.print(f"\n  [bold red]danger: {kind}, {concern:.0%} sure[/]  a person should read this; it is no diagnosis")
    hostility: dict[str, object] = item["hostilityState"]  # type: ignore[assignment]
    if hostility["level"] != "none":
        console.print(f"\n  [red]hostility: {hostility['level']}[/]")


def _row(item: dict[str, object], *, first: bool) -> None:
    """Show one reading in a line of a table that grows as texts come in."""
    console = Console(highlight=False)
    if first:
        console.print(f"[bold]{'text':<{_SHOWN_TEXT}}  {'emotion':<9}{'sure':>5}  {'- valence +':^11}  {'intensity':<10}[/]")
    # What a terminal could take for a command is not shown; the joiner of emoji is no such thing.
    shown = "".join(c if c.isprintable() or c == "\u200d" else " " for c in str(item["text"]))
    row = Text(" ".join(shown.split()))
    row.truncate(_SHOWN_TEXT, overflow="ellipsis", pad=True)
    category = str(item["category"])
    row.append(f"  {category:<9}", style=f"bold {_COLOURS[category]}")
    row.append(f"{_number(item, 'confidence'):>5.0%}  {_signed_bar(_number(item, 'valence'), 10)}  ")
    row.append(_bar(_number(item, "intensity"), 10), style=_COLOURS[category])
    if "safety" in item:
        row.append("  danger", style="bold red")
    console.print(row)


def _number(item: dict[str, object], name: str) -> float:
    value = item[name]
    assert isinstance(value, float | int)
    return float(value)
