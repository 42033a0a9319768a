"""Analysis without memory: texts in, emotion items out, nothing kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Final

from kaiko_server.analysis.evidence import explain
from kaiko_server.analysis.schemas import ROLES, AnalysisRequest, Message
from kaiko_server.engine.model import NAME, Model, Scores, Timing
from kaiko_server.engine.text import detect_language
from kaiko_server.engine.words import Span, sentence_spans
from kaiko_server.reading import pii
from kaiko_server.reading.beliefs import beliefs, may_hold_beliefs
from kaiko_server.reading.item import emotion_item
from kaiko_server.reading.mode import conversation_mode
from kaiko_server.reading.safety import danger_of, sentences_of_danger


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


@dataclass(frozen=True, slots=True)
class Reading:
    """Every message of a request, read."""

    texts: list[str]
    """As the model read them."""
    scores: list[Scores]
    items: list[dict[str, object]]
    dangers: list[str | None]
    supported: bool
    """Whether every text is in a language that the model knows."""
    timing: Timing


@dataclass(frozen=True, slots=True)
class Policy:
    """What a project wants of its readings.

    Attributes
    ----------
    denied
        Blocks that are left out.
    pii
        What is done with personal data: ``off``, ``report``, or ``mask`` before the model reads it.
    """

    denied: frozenset[str] = frozenset()
    pii: str = "off"


FREE: Final = Policy()


async def analyse(model: Model, asked: AnalysisRequest, now: datetime, policy: Policy = FREE) -> Analysis:
    """Read every message; see :class:`~kaiko_server.engine.model.Model` for the errors."""
    read = await read_all(model, asked, policy)
    user = in_order(asked.messages, now, "user")
    mode = None
    if user:
        scores, item = read.scores[user[-1]], read.items[user[-1]]
        mode = conversation_mode(scores.mode, scores.concern, read.dangers[user[-1]], str(item["category"]), str(item["intensityLevel"]))
    return answer(asked, read, now, mode, await beliefs_of(model, asked, read, now, policy))


async def beliefs_of(model: Model, asked: AnalysisRequest, read: Reading, now: datetime, policy: Policy) -> dict[str, object] | None:
    """Give the block ``beliefs`` of the latest user message; None where there are none, or where they are denied."""
    user = in_order(asked.messages, now, "user")
    if not user or "beliefs" in policy.denied:
        return None
    return await _beliefs(model, read.texts[user[-1]], read.scores[user[-1]])


def answer(
    asked: AnalysisRequest, read: Reading, now: datetime, mode: dict[str, object] | None, held: dict[str, object] | None
) -> Analysis:
    """Give the reply to a request whose messages have been *read*.

    *mode* is what the conversation asks for, if a user speaks in it, and *held* what :func:`beliefs_of` gave.
    """
    latest = {role: order[-1] for role in ROLES if (order := in_order(asked.messages, now, role))}
    reply: dict[str, object] = {
        "object": "emotions.analysis",
        "model": NAME,
        "response_type": "per_message",
        "emotions": {role: read.items[index] for role, index in latest.items()},
    }
    if len(read.items) > 1:
        reply["messages"] = [_entry(index, message, read.items[index]) for index, message in enumerate(asked.messages)]
    if mode is not None:
        reply["conversationMode"] = mode
        if held is not None:
            reply["beliefs"] = held
    reply |= {"isFallback": False, "dataQuality": "ml_predicted" if read.supported else "low_confidence"}
    return _finished(reply, asked, read)


async def analyse_batch(model: Model, asked: AnalysisRequest, policy: Policy = FREE) -> Analysis:
    """Read every message, each by itself, and give the items in the order of the request."""
    read = await read_all(model, asked, policy)
    return _finished({"object": "emotions.batch_analysis", "model": NAME, "emotions": read.items}, asked, read)


async def read_all(model: Model, asked: AnalysisRequest, policy: Policy) -> Reading:
    """Read every message by itself; see :class:`~kaiko_server.engine.model.Model` for the errors."""
    texts = [message.content.text for message in asked.messages]
    personal = [pii.find(text) for text in texts] if policy.pii != "off" else None
    if personal is not None and policy.pii == "mask":
        texts = [pii.mask(text, found) for text, found in zip(texts, personal, strict=True)]
    scores, timing = await model.predict_timed(texts)
    dangers = [danger_of(score, model.thresholds.crisis) for score in scores]
    languages = [detect_language(text) for text in texts]
    items, began = [], perf_counter()
    for index, (message, text, score, language, danger) in enumerate(zip(asked.messages, texts, scores, languages, dangers, strict=True)):
        item = emotion_item(
            score,
            text=text,
            language=language.tag,
            thresholds=model.thresholds,
            model_version=model.version,
            granularity="detailed" if asked.params.granularity == "detailed" else "core",
            sensitivity=asked.params.sensitivity,
            at=None if message.timestamp is None else message.timestamp.isoformat().replace("+00:00", "Z"),
            danger=() if danger is None else await _danger(model, text, score),
        )
        if asked.params.explain:
            item["evidence"] = await explain(model, text, score)
        if personal is not None and personal[index]:
            item["piiDetected"] = pii.count(personal[index])
        items.append(item)
    timing = Timing(timing.queue_s, timing.inference_s + perf_counter() - began)
    return Reading(texts, scores, items, dangers, all(language.supported for language in languages), timing)


async def _danger(model: Model, text: str, scores: Scores) -> Sequence[Span]:
    spans = sentence_spans(text)
    # Of one sentence there is nothing to choose from, and to lay a text out costs time.
    return spans if len(spans) == 1 else sentences_of_danger(await model.layout(text), spans, scores, model.thresholds.crisis)


async def _beliefs(model: Model, text: str, scores: Scores) -> dict[str, object] | None:
    return beliefs(await model.layout(text), scores.said) if may_hold_beliefs(scores.said) else None


def in_order(messages: list[Message], now: datetime, *roles: str) -> list[int]:
    """Give the indices of the messages of *roles* (of all, when none is named) in the order in which they were said."""
    wanted = [index for index, message in enumerate(messages) if not roles or message.role in roles]
    return sorted(wanted, key=lambda index: messages[index].timestamp or now)  # keeps the order of equals


def _entry(index: int, message: Message, item: dict[str, object]) -> dict[str, object]:
    entry: dict[str, object] = {"index": index, "role": message.role}
    if message.external_id is not None:
        entry["externalId"] = message.external_id
    return entry | {"emotions": item}


def _finished(reply: dict[str, object], asked: AnalysisRequest, read: Reading) -> Analysis:
    tokens = sum(score.tokens for score in read.scores)
    reply |= {"metadata": {}, "params": asked.params.echo(), "usage": {"analyse_tokens": tokens, "total_tokens": tokens}}
    return Analysis(reply, read.timing, tokens)
