"""The promises of projects."""

import asyncio

import pytest

from kaiko_server.projects.service import ensure_project, list_projects
from kaiko_server.store.db import Database
from tests.conftest import Clock

pytestmark = pytest.mark.anyio


async def test_made_once(db: Database, clock: Clock) -> None:
    """A project is made on first use and found afterwards, with the time it was made."""
    made = await ensure_project(db, "default", clock)
    assert (made.name, made.created_at) == ("default", clock.now)
    clock.move(60)
    assert await ensure_project(db, "default", clock) == made
    other = await ensure_project(db, "other", clock)
    assert await list_projects(db) == [made, other]


async def test_made_at_once(db: Database, clock: Clock) -> None:
    """Many that ensure the same project at the same time get the same one."""
    made = await asyncio.gather(*(ensure_project(db, "default", clock) for _ in range(20)))
    assert len({project.id for project in made}) == 1
    assert len(await list_projects(db)) == 1


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x00b"])
async def test_names_that_are_refused(db: Database, clock: Clock, name: str) -> None:
    """A name that cannot be shown in one line is refused."""
    with pytest.raises(ValueError, match="project name"):
        await ensure_project(db, name, clock)
    assert await list_projects(db) == []
