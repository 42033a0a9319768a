"""Reliability diagrams as SVG: what the model claims against what is so (DeGroot and Fienberg 1983)."""

from collections.abc import Mapping, Sequence
from html import escape
from math import sqrt

SIDE, GAP, TOP = 180, 34, 40
LARGEST = 9.0
"""Radius of the point that stands for most rows; the others' areas are in proportion."""
Bins = Sequence[Mapping[str, float]]


def reliability(curves: Mapping[str, Bins]) -> str:
    """Draw one square for each of *curves*: claimed probability from left to right, observed share upwards, the diagonal dashed."""
    width, height = GAP + len(curves) * (SIDE + GAP), TOP + SIDE + GAP + 10
    panels = "".join(_panel(name, bins, GAP + k * (SIDE + GAP)) for k, (name, bins) in enumerate(curves.items()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12" fill="#333" role="img" aria-label="Reliability diagrams">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{panels}</svg>\n'
    )


def _panel(name: str, bins: Bins, left: float) -> str:
    def place(claimed: float, so: float) -> tuple[float, float]:
        return round(left + claimed * SIDE, 1), round(TOP + (1 - so) * SIDE, 1)

    most = max((b["rows"] for b in bins), default=1)
    points = [(*place(b["claimed"], b["so"]), round(max(1.5, LARGEST * sqrt(b["rows"] / most)), 1)) for b in bins]
    marks = "".join(
        f'<text x="{place(t, 0)[0]}" y="{TOP + SIDE + 15}" text-anchor="middle" fill="#777">{t:g}</text>'
        f'<text x="{left - 5}" y="{place(0, t)[1] + 4}" text-anchor="end" fill="#777">{t:g}</text>'
        for t in (0, 0.5, 1)
    )
    line = " ".join(f"{x},{y}" for x, y, _ in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="{r}" fill="#2a6f97" fill-opacity=".7"/>' for x, y, r in points)
    return (
        f'<text x="{left + SIDE / 2}" y="{TOP - 14}" text-anchor="middle" font-weight="bold">{escape(name)}</text>'
        f'<rect x="{left}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="#fafafa" stroke="#bbb"/>'
        f'<line x1="{left}" y1="{TOP + SIDE}" x2="{left + SIDE}" y2="{TOP}" stroke="#999" stroke-dasharray="4 4"/>'
        f'<polyline points="{line}" fill="none" stroke="#2a6f97" stroke-width="1.5"/>{dots}{marks}'
        f'<text x="{left + SIDE / 2}" y="{TOP + SIDE + 32}" text-anchor="middle" fill="#777">claimed; upwards: observed</text>'
    )
