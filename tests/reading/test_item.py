"""The emotion item: the contract's section 3, field by field, over any scores that a model can give."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.engine.model import CORE, DANGERS, GO, Scores, Thresholds
from kaiko_server.reading import dimensions, signature
from kaiko_server.reading.item import active_labels, category_of, emotion_item

UNIT = st.floats(0, 1, width=32)
SHARE = st.lists(st.floats(0.001, 1), min_size=7, max_size=7).map(lambda v: tuple(x / sum(v) for x in v))


def many(n):
    return st.lists(UNIT, min_size=n, max_size=n).map(tuple)


SCORES = st.builds(
    Scores,
    core=many(6),
    category=SHARE,
    go=many(28),
    valence=st.floats(-1, 1, width=32),
    **dict.fromkeys(("arousal", "intensity", "wonder", "empathic_concern", "personal_distress", "meta", "pattern"), UNIT),
    **dict.fromkeys(("concern", "hostility"), UNIT),
    dangers=many(3),
    mode=many(6),
    said=st.just(()),
    loudest=st.just((0,) * 6),
    tokens=st.integers(2, 9),
    windows=st.just(1),
)
THRESHOLDS = Thresholds(go=(0.3,) * 28, crisis=0.4)


def read(scores, **more):
    return emotion_item(scores, text="x", language="en", thresholds=THRESHOLDS, model_version="m", **more)


@given(SCORES)
def test_every_number_is_in_its_range(scores):
    """Whatever the model says, an item keeps the contract's ranges."""
    item = read(scores)
    assert -1 <= item["valence"] <= 1
    units = ("intensity", "arousal", "wonderIndex", "confidence", "metaEmotionalScore", "patternEmotionScore")
    for name in (*units, "empathicConcern", "personalDistress", "safetyConcernScore"):
        assert 0 <= item[name] <= 1
    assert set(item["raw"]) == set(CORE)
    assert math.isclose(sum(v * v for v in item["emotionalVector"]), 1, abs_tol=1e-4)
    assert len(item["emotionalVector"]) == 9


@given(SCORES)
def test_what_does_not_apply_is_absent(scores):
    """A block that does not apply is absent, never null; `safety` is there exactly when the text is a crisis."""
    item = read(scores, danger=[(0, 1)])
    assert None not in item.values()
    assert "evidence" not in item
    crisis = scores.concern >= 0.4 and max(scores.dangers) >= 0.2
    assert ("safety" in item) == crisis
    if crisis:
        assert item["safety"]["kind"] == DANGERS[scores.dangers.index(max(scores.dangers))]
        assert item["safety"]["evidence"] == [{"start": 0, "end": 1}]


@given(SCORES)
def test_a_crisis_is_about_meaning_and_never_about_intensity(scores):
    """Other strength, arousal or valence, same verdict."""
    calm = replace(scores, intensity=0.0, arousal=0.0, valence=0.9)
    assert ("safety" in read(calm)) == ("safety" in read(scores))


@given(SCORES)
def test_granularity_changes_raw_alone(scores):
    """`detailed` gives the 28 labels in `raw` and leaves every other field as it was."""
    core, detailed = read(scores), read(scores, granularity="detailed")
    assert tuple(detailed.pop("raw")) == GO
    del core["raw"]
    assert core == detailed


@given(SCORES, UNIT, UNIT)
def test_sensitivity_moves_the_labels_and_never_the_scores(scores, one, other):
    """A higher sensitivity keeps every active label (neutral apart) and changes no number."""
    low, high = sorted((one, other))
    calm, keen = read(scores, sensitivity=low), read(scores, sensitivity=high)
    assert set(calm.pop("activeLabels")) - {"neutral"} <= set(keen.pop("activeLabels"))
    assert calm == keen


def test_sensitivity_of_a_half_is_the_fitted_threshold():
    """The default leaves the fitted thresholds alone, the label on the line included."""
    go = [0.0] * 28
    go[GO.index("joy")], go[GO.index("pride")] = 0.31, 0.29
    assert active_labels(go, THRESHOLDS.go, 0.5) == ["joy"]


def test_neutral_only_stands_alone():
    """`neutral` is dropped beside any feeling and kept when nothing else is active."""
    go = [0.0] * 28
    go[GO.index("neutral")] = 0.9
    assert active_labels(go, THRESHOLDS.go, 0.5) == ["neutral"]
    go[GO.index("grief")] = 0.4
    assert active_labels(go, THRESHOLDS.go, 0.5) == ["grief"]


@given(SCORES)
def test_active_labels_come_strongest_first(scores):
    """The order of `activeLabels` is that of their scores."""
    found = [scores.go[GO.index(label)] for label in read(scores)["activeLabels"]]
    assert found == sorted(found, reverse=True)


@given(SCORES)
def test_confidence_is_that_of_the_category(scores):
    """`confidence` is the probability of the very category that is named."""
    item = read(scores)
    assert item["category"] == category_of(scores)
    assert item["confidence"] == round(scores.category[(*CORE, "neutral").index(item["category"])], 4)


def test_levels_have_the_contracts_cut_points():
    """Each cut point belongs to the upper level."""
    assert [dimensions.intensity_level(v) for v in (0.9, 0.75, 0.55, 0.35, 0.34)] == ["critical", "high", "moderate", "subtle", "minimal"]
    assert dimensions.discovery_level(1.0, 0.0) == "normal"
    assert dimensions.discovery_level(0.9, 0.9) == "transcendent"
    assert dimensions.complexity([0.25] * 6) == "simple"
    assert [dimensions.complexity([0.3] * n) for n in range(6)] == [
        "simple", "simple", "layered", "paradoxical", "transcendent", "transcendent",
    ]  # fmt: skip


def test_rage_is_no_breakthrough():
    """A breakthrough needs valence above 0."""
    assert dimensions.is_breakthrough("breakthrough", 0.1)
    assert not dimensions.is_breakthrough("transcendent", -0.1)
    assert not dimensions.is_breakthrough("significant", 0.9)


@given(SCORES)
def test_the_signature_names_state_and_model(scores):
    """Same state and model, same signature; another model, another."""
    vector = signature.vector(scores.core, scores.valence, scores.arousal, scores.intensity)
    assert signature.signature(vector, "a") == signature.signature(list(vector), "a")
    assert signature.signature(vector, "a") != signature.signature(vector, "b")
    assert len(signature.signature(vector, "a")) == 16


@given(SCORES)
def test_a_kept_item_holds_no_text(scores):
    """An item made without its text carries neither the text nor how long it was."""
    item = emotion_item(scores, text=None, language="en", thresholds=THRESHOLDS, model_version="m")
    assert "text" not in item
    assert "coverage" not in item
