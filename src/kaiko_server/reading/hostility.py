"""Hostility towards the listener or a group of people (contract, section 4.7)."""

_CUTS = (0.80, 0.55, 0.30)
_LEVELS = ("high", "medium", "low", "none")
_RESPONSES = {"none": "normal", "low": "defensive", "medium": "boundary_setting", "high": "crisis"}


def level(score: float) -> str:
    """Name the level of a *score* of 0..1."""
    return next((name for name, cut in zip(_LEVELS, _CUTS, strict=False) if score >= cut), _LEVELS[-1])


def state(score: float, *, at: str | None) -> dict[str, object]:
    """Give the block of one message by itself; *at* is its time, which a hostile one carries as ``lastEscalation``."""
    found = level(score)
    block: dict[str, object] = {
        "level": found,
        "score": round(score, 4),
        "escalationCount": int(found != "none"),
        "deEscalationDetected": False,
        "recommendedResponse": _RESPONSES[found],
    }
    if found != "none" and at is not None:
        block["lastEscalation"] = at
    return block
