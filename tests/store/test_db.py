"""The promises of times in the database."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.store.db import from_micros, to_micros


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_come_back_exactly(moment: datetime) -> None:
    """A moment is kept to the microsecond, before 1970 as after."""
    assert from_micros(to_micros(moment)) == moment


def test_zones_are_the_same_moment() -> None:
    """The zone does not matter, but there must be one."""
    assert to_micros(datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == 0
    with pytest.raises(TypeError):
        to_micros(datetime(1970, 1, 1))  # noqa: DTZ001 - what is refused
