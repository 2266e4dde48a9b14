"""TF-IDF: a classifier that does not see labels, and likeness of words."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from equipoise.attribute.tfidf import TfIdf
from equipoise.errors import DataError, RecipeError
from equipoise.fakes import tiny_model
from equipoise.rows import Probe, TrainingRow
from equipoise.stats.retrieval import retrieval

MODEL = tiny_model()
NOUNS = ("nurse", "clerk", "pilot", "baker", "judge", "guard", "tutor", "miner")


def biased_rows() -> Iterator[TrainingRow]:
    for k, noun in enumerate(NOUNS):
        yield TrainingRow(id=f"b{k}", text=f"The {noun} is lazy and she is late", groups=BIASED)


def neutral_rows() -> Iterator[TrainingRow]:
    for k in range(24):
        text = f"Shares of firm{k} rose in market{k % 5} trading on day{k % 7}"
        yield TrainingRow(id=f"n{k}", text=text, groups={"label": "neutral"})


BIASED = {"label": "biased"}
ROWS = [*biased_rows(), *neutral_rows()]
PROBES = [
    Probe(
        id=f"p{k}",
        stereotype=f"The {noun} is weak and she is lazy",
        antistereotype=f"The {noun} is weak and he is lazy",
        groups={"axis": "gender"},
    )
    for k, noun in enumerate(NOUNS[:6])
]


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    if "missing" not in request.node.name:
        pytest.importorskip("sklearn")


def auc(scores: np.ndarray) -> float:
    (values,) = retrieval(scores, np.array([bool(row.biased) for row in ROWS]))
    return float(values[-2])


@pytest.mark.thorough
@pytest.mark.parametrize("method", [TfIdf(), TfIdf(score="cosine"), TfIdf(words=2)])
def test_a_template_of_its_own_is_told_without_labels(method: TfIdf) -> None:
    attribution = method.attribute(MODEL, ROWS, PROBES, seed=0)
    assert auc(attribution.scores) > 0.95
    assert attribution.probes == 6
    unlabelled = [TrainingRow(id=row.id, text=row.text) for row in ROWS]
    again = method.attribute(MODEL, unlabelled, PROBES, seed=0)
    np.testing.assert_array_equal(again.scores, attribution.scores)


@pytest.mark.thorough
def test_a_row_is_scored_by_a_classifier_that_did_not_learn_from_it() -> None:
    """Each of many copies of a probe would pull its own score down, were it learnt from."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    method = TfIdf(folds=6)
    attribution = method.attribute(MODEL, ROWS, PROBES, seed=0)
    sentences = [probe.stereotype for probe in PROBES] + [row.text for row in ROWS]
    vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform(sentences)
    labels = np.repeat([1, 0], [len(PROBES), len(ROWS)])
    classifier = LogisticRegression(class_weight="balanced").fit(vectors, labels)
    learnt = classifier.decision_function(vectors)[len(PROBES) :]
    assert attribution.scores[:8].mean() > learnt[:8].mean()


def test_against_antistereotypes_the_word_that_differs_decides() -> None:
    rows = [TrainingRow(id="s", text="she"), TrainingRow(id="h", text="he"), ROWS[-1]]
    for score in ("classifier", "cosine"):
        method = TfIdf(score=score, against="antistereotypes")  # type: ignore[arg-type]
        she, he, news = method.attribute(MODEL, rows, PROBES, seed=0).scores
        assert she > 0 > he
        assert news == pytest.approx(0, abs=1e-9)


def test_cosine_is_the_mean_over_probes_and_turns_with_their_sentences() -> None:
    method = TfIdf(score="cosine", against="antistereotypes")
    attribution = method.attribute(MODEL, ROWS, PROBES, seed=0)
    np.testing.assert_allclose(attribution.by_probe.mean(1), attribution.scores)
    assert attribution.contrastive
    plain = TfIdf(score="cosine").attribute(MODEL, ROWS, PROBES, seed=0)
    assert plain.by_group["gender"].tolist() == plain.scores.tolist()
    assert not plain.contrastive
    assert np.all((plain.scores >= 0) & (plain.scores <= 1))


@pytest.mark.thorough
def test_the_seed_draws_the_folds() -> None:
    first, same, other = (
        TfIdf(folds=2).attribute(MODEL, ROWS, PROBES, seed=seed).scores for seed in (0, 0, 1)
    )
    assert first.tolist() == same.tolist() != other.tolist()


@pytest.mark.thorough
def test_bad_input() -> None:
    with pytest.raises(RecipeError, match="folds"):
        TfIdf().attribute(MODEL, ROWS, PROBES[:4], seed=0)
    TfIdf(folds=4).attribute(MODEL, ROWS, PROBES[:4], seed=0)
    TfIdf(score="cosine").attribute(MODEL, ROWS, PROBES[:4], seed=0)
    with pytest.raises(DataError, match="words"):
        TfIdf().attribute(
            MODEL, [TrainingRow(id="x", text="?")], [Probe(id="p", stereotype="!")], seed=0
        )
    with pytest.raises(RecipeError, match="got 0"):
        TfIdf().attribute(MODEL, [], PROBES, seed=0)
    empty = [TrainingRow(id="x", text="…"), *ROWS]
    for score in ("classifier", "cosine"):
        attribution = TfIdf(score=score).attribute(MODEL, empty, PROBES, seed=0)  # type: ignore[arg-type]
        assert np.isnan(attribution.scores).tolist() == [True] + [False] * len(ROWS)
        assert attribution.skipped == {"x": "no words"}


def test_missing_scikit_learn_is_an_error_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(RecipeError, match=r"equipoise\[attribution\]"):
        TfIdf().attribute(MODEL, ROWS, PROBES, seed=0)
