"""Numbers into the contract's words: levels of intensity and discovery, complexity (contract, section 3)."""

from collections.abc import Sequence

_CUTS = (0.90, 0.75, 0.55, 0.35)
_INTENSITY = ("critical", "high", "moderate", "subtle", "minimal")
_DISCOVERY = ("transcendent", "breakthrough", "significant", "normal", "routine")
_COMPLEXITY = ("simple", "simple", "layered", "paradoxical", "transcendent")
_PRESENT = 0.25
"""From which probability on a core emotion counts towards complexity."""


def _level(value: float, names: Sequence[str]) -> str:
    return next((name for name, cut in zip(names, _CUTS, strict=False) if value >= cut), names[-1])


def intensity_level(intensity: float) -> str:
    """Name the level of an *intensity* of 0..1."""
    return _level(intensity, _INTENSITY)


def discovery_level(intensity: float, wonder: float) -> str:
    """Name the level of the mean of *intensity* and *wonder*, so that rage alone is no breakthrough."""
    return _level((intensity + wonder) / 2, _DISCOVERY)


def complexity(core: Sequence[float]) -> str:
    """Count the core emotions that are present together."""
    return _COMPLEXITY[min(sum(score > _PRESENT for score in core), len(_COMPLEXITY) - 1)]


def is_breakthrough(level: str, valence: float) -> bool:
    """Whether a discovery *level* is a breakthrough, and a good one."""
    return level in _DISCOVERY[:2] and valence > 0
