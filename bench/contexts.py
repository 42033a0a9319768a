"""What memory costs: ``python -m bench.contexts [--url postgresql://…]``.

First one analysis of one message in a context that holds ten points, against one that holds a million, in turns and through the
service (model, database, insights; no HTTP). The points of ninety days are made in the database and counted into the sums as the
server would. Then messages a second over HTTP at 16 connections, with a context against without, in turns.
"""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import click
from pydantic_core import to_json
from rich.console import Console

from bench.client import Load, post
from bench.measure import Figure
from bench.rounds import client_process, send
from bench.server import ANALYSIS, serving
from bench.texts import sample
from kaiko_server.analysis.schemas import AnalysisRequest
from kaiko_server.contexts import queries, service
from kaiko_server.contexts.service import Lives, Place
from kaiko_server.engine.batcher import Batcher
from kaiko_server.engine.model import NAME
from kaiko_server.engine.onnx import OnnxSession
from kaiko_server.projects.service import ensure_project
from kaiko_server.settings import load
from kaiko_server.store.db import Connection, Database, to_micros
from kaiko_server.store.opening import open_database
from kaiko_server.trajectory import maths
from kaiko_server.trajectory import queries as trajectory_queries
from kaiko_server.trajectory import service as trajectory
from kaiko_server.trajectory.habits import Habits, followed, habits_of
from kaiko_server.trajectory.maths import DAY, HOUR, Point, Sums

_FEW, _MANY = 10, 1_000_000
_TEXTS, _ROUNDS = 100, 9
_HTTP_TEXTS, _CONNECTIONS = 400, 16
_LIVES = Lives(timedelta(hours=24), timedelta(days=90), strict=False)
_MADE = """
WITH RECURSIVE made(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM made WHERE i < CAST($1 AS BIGINT))
INSERT INTO points (context_id, role, said_at, number, category, complexity, intensity, valence, arousal, wonder, breakthrough, sign,
    follows)
SELECT $2, 0, CAST($3 AS BIGINT) + i * CAST($4 AS BIGINT), i, (i * 5 + i / 7) % 7, i % 4,
       (i * 37) % 10001, 5000 - (i * 91) % 10001, (i * 53) % 10001, (i * 17) % 10001, 0,
       CASE WHEN 5000 - (i * 91) % 10001 >= 1000 THEN 1 WHEN 5000 - (i * 91) % 10001 <= -1000 THEN -1 ELSE 0 END,
       CASE WHEN i > 1 THEN ((i - 1) * 5 + (i - 1) / 7) % 7 * 2 + CASE WHEN (i - 1) * 37 % 10001 >= 7500 THEN 1 ELSE 0 END END
FROM made
"""


async def _fill(db: Database, place: Place, count: int, now: datetime) -> None:
    """Make a context that holds *count* points of the last 89 days."""
    step = 89 * DAY // count
    start = to_micros(now) - 89 * DAY

    async def fill(connection: Connection) -> None:
        row = await queries.hold(
            connection,
            context_id=place.name.hex(),
            project_id=place.project_id,
            environment=place.environment,
            name=place.name,
            digest_key=bytes(32),
            now=to_micros(now),
        )
        arc = trajectory.Arc.of(row)
        made = count - trajectory.RECENT if count > trajectory.RECENT else 0
        if made:
            await connection.execute(_MADE, made, row["id"], start, step)
            await _count(connection, arc, start, step, made)
        for i in range(made + 1, count + 1):
            point = Point(start + i * step, i, i % 7, i % 4, i * 37 % 10_001, 5000 - i * 91 % 10_001, 5000, 3000, 0)
            await trajectory.add(connection, arc, "user", point, [1 / 3] * 9, start)
        ends = (arc.points_from, arc.points_to)
        await queries.keep(
            connection, row["id"], added=count, last_came=to_micros(now), due_at=2**62, state="{}", arc=arc.columns, ends=ends
        )

    await db.write(fill)


async def _count(connection: Connection, arc: trajectory.Arc, start: int, step: int, made: int) -> None:
    """Count the points that were made into hours, days and the whole."""
    tallies: dict[tuple[int, int], Sums] = {}
    habits: dict[int, Habits] = {}
    follows: int | None = None
    for i in range(1, made + 1):
        at = start + i * step
        category = (i * 5 + i // 7) % 7
        point = Point(at, i, category, i % 4, i * 37 % 10_001, 5000 - i * 91 % 10_001, i * 53 % 10_001, i * 17 % 10_001, 0)
        sums, hour = maths.sums_of(point, None), (1, at // HOUR * HOUR)
        tallies[hour] = maths.plus(tallies[hour], sums) if hour in tallies else sums
        recurring, day_ = habits_of(point, follows, None), at // DAY
        habits[day_] = maths.plus(habits[day_], recurring) if day_ in habits else recurring
        follows = followed(point)
    for (_, begins), sums in list(tallies.items()):
        day = (24, begins // DAY * DAY)
        tallies[day] = maths.plus(tallies[day], sums) if day in tallies else sums
        arc.total = maths.plus(arc.total, sums)
    for (size, begins), sums in tallies.items():
        recurring_ = to_json(habits[begins // DAY]).decode() if size == 24 else None
        await trajectory_queries.set_tally(connection, arc.context_id, size, begins, to_json(sums).decode(), recurring_)
    arc.first_at, arc.points_from, arc.points_to = start + step, start + step, start + made * step


async def _compare(db: Database, console: Console) -> Figure:
    model = Batcher(OnnxSession.load(threads=1), queue_texts=100, batch_tokens=128)
    model.start()
    now = datetime.now(UTC)
    project = await ensure_project(db, "bench", lambda: now)
    places = [Place(project.id, "live", name) for name in (b"few", b"many")]
    with console.status(f"making {_MANY:,} points"):
        for place, count in zip(places, (_FEW, _MANY), strict=True):
            await _fill(db, place, count, now)
    ratios = []
    texts = sample(_TEXTS)
    for _ in range(_ROUNDS):
        spent = [0.0, 0.0]
        for text in texts:
            asked = AnalysisRequest.model_validate({"model": NAME, "messages": [{"content": text}]}, context={"now": now})
            for k, place in enumerate(places):
                began = perf_counter()
                await service.analyse(db, model, place, asked, now=datetime.now(UTC), lives=_LIVES)
                spent[k] += perf_counter() - began
        ratios.append(spent[1] / spent[0])
        console.print(f"few {spent[0] / _TEXTS * 1000:.2f} ms, many {spent[1] / _TEXTS * 1000:.2f} ms a message")
    await model.close()
    return Figure.of(ratios)


def _over_http(url: str | None) -> Figure:
    """Give the messages a second with a context, in those without; fifty conversations take turns."""
    texts = sample(_HTTP_TEXTS)
    environment = {} if url is None else {"KAIKO_DATABASE_URL": url}
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        data_dir.mkdir(mode=0o700)
        with serving(data_dir, environment) as server, client_process() as pool:
            plain = [post(ANALYSIS, server.key, [text]) for text in texts]
            kept = [post(f"/v2/emotions/talk-{n % 50}/analysis", server.key, [text]) for n, text in enumerate(texts)]
            for _ in range(_ROUNDS):
                with_, without = (send(pool, server, Load(server.port, r, len(r), _CONNECTIONS, 1.0)) for r in (kept, plain))
                assert set(with_.statuses) == {200}, with_.statuses
                ratios.append(with_.per_s / without.per_s)
    return Figure.of(ratios)


@click.command()
@click.option("--url", help="PostgreSQL to measure on; SQLite in a new folder without it.")
def main(url: str | None) -> None:
    """Measure and print."""
    console = Console()

    async def measure() -> Figure:
        with tempfile.TemporaryDirectory() as folder:
            db = await open_database(load({}, data_dir=Path(folder) / "var", database_url=url))
            try:
                return await _compare(db, console)
            finally:
                await db.close()

    found = asyncio.run(measure())
    console.print(
        f"one analysis at {_MANY:,} points takes {found.median:.3f} times ({found.min:.3f}-{found.max:.3f}) as long as at {_FEW}: "
        f"{_TEXTS} texts, {_ROUNDS} rounds in turns, {'PostgreSQL' if url else 'SQLite'}"
    )
    kept = _over_http(url)
    told = f"{kept.median:.2f} ({kept.min:.2f}-{kept.max:.2f})"
    console.print(f"over HTTP, {_CONNECTIONS} connections: with a context {told} of the messages a second without")


if __name__ == "__main__":
    main()
