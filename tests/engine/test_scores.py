import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from kaiko_server.engine.model import CORE, GO
from kaiko_server.engine.scores import COLUMNS, Output, combine, reading, scores_of

CATEGORY = slice(6, 13)
GO_NEUTRAL = 13 + GO.index("neutral")
VALENCE, AROUSAL, INTENSITY = 41, 42, 43
CONCERN, MODE = 49, slice(54, 60)
DANGER = range(CONCERN, CONCERN + 4)
HEARD = [i for i in range(54) if i not in {*range(6, 13), GO_NEUTRAL, VALENCE, AROUSAL, *DANGER}]
NO_TAGS = (np.zeros((0, 7), np.float32),)

Texts = tuple[NDArray[np.float32], list[int]]


def plausible(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make of numbers 0..1 what the network gives: a category that adds up to 1, a valence of -1..1."""
    rows = rows.copy()
    rows[:, CATEGORY] += 0.01
    rows[:, CATEGORY] /= rows[:, CATEGORY].sum(axis=1, keepdims=True)
    rows[:, VALENCE] = rows[:, VALENCE] * 2 - 1
    return rows


@st.composite
def texts(draw: st.DrawFn) -> Texts:
    count = draw(st.integers(1, 12))
    rows = draw(arrays(np.float32, (count, COLUMNS), elements=st.floats(0, 1, width=32)))
    return plausible(rows), draw(st.lists(st.integers(3, 128), min_size=count, max_size=count))


def calm_window() -> NDArray[np.float32]:
    row = np.zeros((1, COLUMNS), np.float32)
    row[0, 12] = row[0, GO_NEUTRAL] = 1
    return row


def window(*, label: str, strength: float) -> NDArray[np.float32]:
    """One clear passage."""
    at = CORE.index(label)
    row = np.zeros((1, COLUMNS), np.float32)
    row[0, at] = row[0, INTENSITY] = strength
    row[0, 6 + at], row[0, 12] = strength, 1 - strength
    row[0, VALENCE] = strength if label in {"joy", "love"} else -strength
    return row


@given(texts())
def test_one_window_is_itself(text: Texts) -> None:
    """A text of one window reads exactly as that window."""
    rows, tokens = text
    assert combine(rows[:1], tokens[:1]).tolist() == rows[0].tolist()


@given(texts())
def test_bounds(text: Texts) -> None:
    """No number leaves the range that its windows span, and the category still adds up to 1."""
    rows, tokens = text
    combined = combine(rows, tokens)
    assert (combined >= rows.min(axis=0)).all()
    assert (combined <= rows.max(axis=0)).all()
    assert abs(combined[CATEGORY].sum() - 1) < 1e-5


@given(texts(), st.randoms())
def test_order_does_not_matter(text: Texts, random: object) -> None:
    """A text reads the same whichever part comes first."""
    rows, tokens = text
    order = list(range(len(rows)))
    random.shuffle(order)
    np.testing.assert_allclose(combine(rows[order], [tokens[i] for i in order]), combine(rows, tokens), atol=1e-6)


@given(texts(), st.integers(3, 128))
def test_neutral_window_raises_nothing(text: Texts, tokens: int) -> None:
    """One more neutral window raises neither intensity nor any emotion's probability."""
    rows, lengths = text
    longer = combine(np.concatenate([rows, calm_window()]), [*lengths, tokens])
    assert (longer[HEARD] <= combine(rows, lengths)[HEARD] + 1e-6).all()


@given(texts(), st.integers(0, 11), st.floats(0, 1, width=32))
def test_stronger_window_lowers_nothing(text: Texts, at: int, strength: float) -> None:
    """Raising a probability or the intensity in one window never lowers it in the whole."""
    rows, lengths = text
    raised = rows.copy()
    raised[at % len(rows), HEARD] = np.maximum(raised[at % len(rows), HEARD], np.float32(strength))
    assert (combine(raised, lengths)[HEARD] >= combine(rows, lengths)[HEARD] - 1e-6).all()


def test_one_clear_passage_is_heard() -> None:
    """Rage in one of sixteen windows makes the text an angry one, of half the strength."""
    combined = combine(np.concatenate([calm_window()] * 15 + [window(label="anger", strength=0.9)]), [100] * 16)
    assert combined[CATEGORY].argmax() == CORE.index("anger")
    assert 0.4 < combined[CORE.index("anger")] < 0.5
    assert combined[VALENCE] < -0.5


def test_many_weak_maybes_stay_weak() -> None:
    """Sixteen windows that are perhaps a little sad are perhaps a little sad."""
    combined = combine(np.concatenate([window(label="sadness", strength=0.1)] * 16), [100] * 16)
    assert abs(combined[CORE.index("sadness")] - 0.1) < 1e-6
    assert abs(combined[INTENSITY] - 0.1) < 1e-6
    assert combined[CATEGORY].argmax() == 6


def test_the_prevailing_emotion_wins() -> None:
    """Ten sad windows are not outdone by one of joy, though it is the stronger."""
    rows = np.concatenate([window(label="sadness", strength=0.6)] * 10 + [window(label="joy", strength=0.95)])
    assert combine(rows, [100] * 11)[CATEGORY].argmax() == CORE.index("sadness")


def test_columns_have_their_names() -> None:
    """Each column of the network's output lands in the field that the training gave it."""
    scores = scores_of([float(i) for i in range(COLUMNS)], NO_TAGS, tokens=7)
    assert COLUMNS == 60
    assert scores.core == (0, 1, 2, 3, 4, 5)
    assert scores.category == tuple(range(6, 13))
    assert scores.go == tuple(range(13, 41))
    assert (scores.valence, scores.arousal, scores.intensity, scores.wonder) == (41, 42, 43, 44)
    assert (scores.empathic_concern, scores.personal_distress, scores.meta, scores.pattern) == (45, 46, 47, 48)
    assert (scores.concern, scores.dangers, scores.hostility) == (49, (50, 51, 52), 53)
    assert scores.mode == tuple(range(54, 60))
    assert (scores.tokens, scores.windows) == (7, 1)


def test_danger_in_one_window_is_danger() -> None:
    """Nothing around a sentence of danger makes it less, and what two windows say does not add up."""
    rows = np.concatenate([calm_window()] * 16)
    rows[3, CONCERN], rows[3, CONCERN + 1] = 0.97, 0.9
    rows[8, CONCERN], rows[8, CONCERN + 3] = 0.99, 0.1
    assert combine(rows, [100] * 16)[list(DANGER)].tolist() == rows[3, list(DANGER)].tolist()


def test_it_says_where_each_emotion_is_strongest() -> None:
    """The window of the joy and that of the sadness are told apart."""
    rows = np.concatenate([calm_window(), window(label="joy", strength=0.9), window(label="sadness", strength=0.8)])
    scores = reading([Output(row, *NO_TAGS) for row in rows], [10, 10, 10])
    assert (scores.loudest[CORE.index("joy")], scores.loudest[CORE.index("sadness")]) == (1, 2)
    assert scores.windows == 3
