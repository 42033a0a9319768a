"""What all that is told beside the six emotions costs: ``python -m bench.insight``.

The same texts, one at a time and in turns, are read for the six emotions alone and for the whole answer of the analysis route
(item, safety, hostility, mode, beliefs), without HTTP. The encoder's pass is in both.
"""

import asyncio
from datetime import UTC, datetime
from time import perf_counter

from rich.console import Console

from bench.measure import Figure
from bench.texts import sample
from kaiko_server.analysis import service
from kaiko_server.analysis.schemas import AnalysisRequest
from kaiko_server.engine.batcher import Batcher
from kaiko_server.engine.model import CORE, NAME
from kaiko_server.engine.onnx import OnnxSession
from kaiko_server.reading.item import category_of

_TEXTS, _ROUNDS = 200, 9


async def _compare() -> Figure:
    model = Batcher(OnnxSession.load(threads=1), queue_texts=100, batch_tokens=128)
    model.start()
    now = datetime.now(UTC)
    texts = sample(_TEXTS)
    requests = [AnalysisRequest.model_validate({"model": NAME, "messages": [{"content": text}]}, context={"now": now}) for text in texts]
    ratios = []
    for _ in range(_ROUNDS):
        six = whole = 0.0
        for text, request in zip(texts, requests, strict=True):
            began = perf_counter()
            scores = (await model.predict([text]))[0]
            _ = category_of(scores), dict(zip(CORE, scores.core, strict=True)), scores.valence, scores.arousal, scores.intensity
            between = perf_counter()
            await service.analyse(model, request, now)
            six, whole = six + between - began, whole + perf_counter() - between
        ratios.append(whole / six)
    await model.close()
    return Figure.of(ratios)


def main() -> None:
    found = asyncio.run(_compare())
    Console().print(
        f"the whole analysis takes {found.median:.3f} times ({found.min:.3f}-{found.max:.3f}) as long as the six emotions alone: "
        f"{_TEXTS} texts, {_ROUNDS} rounds in turns"
    )


if __name__ == "__main__":
    main()
