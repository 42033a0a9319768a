"""The promises of the key format."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.keys.format import ENVIRONMENTS, Environment, hint, is_well_formed, make_key

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEYS = st.sampled_from(ENVIRONMENTS).map(make_key)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_shape(environment: Environment) -> None:
    """A key is its prefix, 32 random and 6 checksum characters of base62, and is accepted."""
    key = make_key(environment)
    prefix = f"kaiko_{environment}_"
    assert key.startswith(prefix)
    assert len(key) == len(prefix) + 38
    assert set(key.removeprefix(prefix)) <= set(BASE62)
    assert is_well_formed(key)


def test_known_checksum() -> None:
    """The checksum is CRC32 in base62 with the digits 0-9A-Za-z, so other tools can check keys: a worked example."""
    assert is_well_formed("kaiko_test_" + "0" * 32 + "2r0zhX")
    assert not is_well_formed("kaiko_test_" + "0" * 32 + "2R0zhX")


def test_keys_differ() -> None:
    """No two keys are alike."""
    assert len({make_key("live") for _ in range(1000)}) == 1000


@given(KEYS, st.data())
def test_any_changed_character_is_refused(key: str, data: st.DataObject) -> None:
    """Whichever one character is changed to whatever, the key is refused."""
    place = data.draw(st.integers(0, len(key) - 1))
    other = data.draw(st.one_of(st.sampled_from(BASE62 + "_"), st.characters()).filter(lambda character: character != key[place]))
    assert not is_well_formed(key[:place] + other + key[place + 1 :])


@given(KEYS, st.data())
def test_swapped_neighbours_are_refused(key: str, data: st.DataObject) -> None:
    """Two neighbours swapped, the commonest slip in typing, are refused."""
    place = data.draw(st.integers(0, len(key) - 2).filter(lambda at: key[at] != key[at + 1]))
    assert not is_well_formed(key[:place] + key[place + 1] + key[place] + key[place + 2 :])


@given(KEYS, st.sampled_from([" ", "\n", "\0", "0"]))
def test_more_or_less_is_refused(key: str, more: str) -> None:
    """A key with something before, after or missing is refused."""
    assert not any(is_well_formed(text) for text in (key + more, more + key, key[:-1], key[1:]))


@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    """Nothing that a header may hold is a fault."""
    assert is_well_formed(text) is False


def test_hint_is_the_end() -> None:
    """The hint is the last four characters."""
    key = make_key("live")
    assert key.endswith(hint(key))
    assert len(hint(key)) == 4
