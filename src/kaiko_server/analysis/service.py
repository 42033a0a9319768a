"""Analysis without memory: texts in, emotion items out, nothing kept."""

from dataclasses import dataclass
from datetime import datetime

from kaiko_server.analysis.schemas import AnalysisRequest, Message
from kaiko_server.engine.model import NAME, Model, Scores, Timing
from kaiko_server.engine.text import Language, detect_language
from kaiko_server.reading.item import emotion_item


@dataclass(frozen=True, slots=True)
class Analysis:
    """What came of a request.

    Attributes
    ----------
    reply
        As it goes over the wire.
    timing
        Where the model's time went.
    tokens
        That the model read, over all texts.
    """

    reply: dict[str, object]
    timing: Timing
    tokens: int


async def analyse(model: Model, asked: AnalysisRequest, now: datetime) -> Analysis:
    """Read every message; see :class:`~kaiko_server.engine.model.Model` for the errors."""
    scores, timing = await model.predict_timed([message.content.text for message in asked.messages])
    languages = [detect_language(message.content.text) for message in asked.messages]
    items = _items(model, asked, scores, languages)
    reply: dict[str, object] = {
        "object": "emotions.analysis",
        "model": NAME,
        "response_type": "per_message",
        "emotions": _latest(asked.messages, items, now),
    }
    if len(items) > 1:
        reply["messages"] = [_entry(index, message, items[index]) for index, message in enumerate(asked.messages)]
    supported = all(language.supported for language in languages)
    reply |= {"isFallback": False, "dataQuality": "ml_predicted" if supported else "low_confidence"}
    return _finished(reply, asked, scores, timing)


async def analyse_batch(model: Model, asked: AnalysisRequest) -> Analysis:
    """Read every message, each by itself, and give the items in the order of the request."""
    scores, timing = await model.predict_timed([message.content.text for message in asked.messages])
    languages = [detect_language(message.content.text) for message in asked.messages]
    items = _items(model, asked, scores, languages)
    return _finished({"object": "emotions.batch_analysis", "model": NAME, "emotions": items}, asked, scores, timing)


def _items(model: Model, asked: AnalysisRequest, scores: list[Scores], languages: list[Language]) -> list[dict[str, object]]:
    granularity = "detailed" if asked.params.granularity == "detailed" else "core"
    return [
        emotion_item(
            score,
            text=message.content.text,
            language=language.tag,
            thresholds=model.go_thresholds,
            model_version=model.version,
            granularity=granularity,
            sensitivity=asked.params.sensitivity,
        )
        for message, score, language in zip(asked.messages, scores, languages, strict=True)
    ]


def _latest(messages: list[Message], items: list[dict[str, object]], now: datetime) -> dict[str, dict[str, object]]:
    # sorted() keeps the order of equals, and what comes later replaces what came before.
    order = sorted(range(len(messages)), key=lambda index: messages[index].timestamp or now)
    return {messages[index].role: items[index] for index in order}


def _entry(index: int, message: Message, item: dict[str, object]) -> dict[str, object]:
    entry: dict[str, object] = {"index": index, "role": message.role}
    if message.external_id is not None:
        entry["externalId"] = message.external_id
    return entry | {"emotions": item}


def _finished(reply: dict[str, object], asked: AnalysisRequest, scores: list[Scores], timing: Timing) -> Analysis:
    tokens = sum(score.tokens for score in scores)
    reply |= {"metadata": {}, "params": asked.params.echo(), "usage": {"analyse_tokens": tokens, "total_tokens": tokens}}
    return Analysis(reply, timing, tokens)
