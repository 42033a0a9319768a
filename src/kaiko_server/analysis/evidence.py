"""Which words drove a reading, found by reading the text again without them; see docs/decisions/0011-evidence.md."""

from collections.abc import Sequence

from kaiko_server.engine.model import CORE, Model, Scores
from kaiko_server.engine.words import Span, content_words, shared_out, without
from kaiko_server.reading.item import NEUTRAL, category_of

ROWS = 12
"""Texts that are read besides the text itself, at most; to explain one, each is a window long, give or take a word."""
_NAMED = 5
_SHARE = 0.1
"""What takes less than this share of the strongest word's effect is not named."""
_GROUPS = 4


async def explain(model: Model, text: str, scores: Scores) -> list[dict[str, object]]:
    """Name up to five words that the category rests on, strongest first; none when nothing is felt.

    ``weight`` is by how much the category's score falls without the word. In a text of many words the passage, then the phrase
    that matters most is searched before its words, so that the cost stays bounded; where it runs out, a phrase is named.
    """
    label = category_of(scores)
    if label == NEUTRAL:
        return []
    at, rows, begin, base = CORE.index(label), ROWS, 0, scores.core[CORE.index(label)]
    if scores.windows > 1:
        begin, end = (await model.layout(text)).passage(scores.loudest[at])
        text = text[begin:end]
        base = (await model.again([text]))[0].core[at]
        rows -= 1

    async def effects(groups: Sequence[Sequence[Span]]) -> list[float]:
        rest = [without(text, group) for group in groups]
        # Nothing is left to read of a text whose only word is taken out: then all of its score was that word's.
        left = iter(await model.again([r for r in rest if r.strip()]))
        return [base - next(left).core[at] if r.strip() else base for r in rest]

    spans: Sequence[Span] = content_words(text)
    while len(spans) > rows >= 2 * _GROUPS:
        groups = shared_out(spans, _GROUPS)
        found = await effects(groups)
        rows -= _GROUPS
        spans = groups[max(range(len(groups)), key=found.__getitem__)]
    named = shared_out(spans, rows)
    weights = await effects(named)
    strongest = sorted(zip(weights, named, strict=True), key=lambda pair: -pair[0])[:_NAMED]
    return [
        {"start": begin + group[0][0], "end": begin + group[-1][1], "label": label, "weight": round(weight, 4)}
        for weight, group in strongest
        if weight > 0 and weight >= _SHARE * strongest[0][0]
    ]
