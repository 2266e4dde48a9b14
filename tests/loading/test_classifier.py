"""Classifiers in folders: what they are, and what they cannot do."""

from pathlib import Path

import numpy as np
import pytest
from tiny_classifier import save_classifier

from equipoise.errors import ModelError
from equipoise.loading.classifier import load_classifier
from equipoise.records import Continuation, Embedding


@pytest.mark.thorough
def test_labels_and_their_reading_are_those_of_the_configuration(tmp_path: Path) -> None:
    save_classifier(tmp_path, labels=("a", "b", "c"), problem_type="multi_label_classification")
    classifier = load_classifier(str(tmp_path))
    assert (classifier.labels, classifier.activation) == (("a", "b", "c"), "sigmoid")
    chosen = load_classifier(str(tmp_path), activation="softmax")
    np.testing.assert_allclose(chosen.probabilities(["a door"]).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.thorough
def test_without_a_problem_type_labels_exclude_each_other(tmp_path: Path) -> None:
    save_classifier(tmp_path / "two", problem_type=None)
    assert load_classifier(str(tmp_path / "two")).activation == "softmax"
    save_classifier(tmp_path / "single", labels=("score",), problem_type=None)
    with pytest.raises(ModelError, match=r"it says None with 1 labels; set the option activation"):
        load_classifier(str(tmp_path / "single"))


def test_no_texts_have_no_probabilities(tmp_path: Path) -> None:
    assert load_classifier(str(save_classifier(tmp_path))).probabilities([]).shape == (0, 2)


def test_a_classifier_predicts_no_words(tmp_path: Path) -> None:
    classifier = load_classifier(str(save_classifier(tmp_path)))
    with pytest.raises(ModelError, match="is a classifier of texts"):
        classifier.score([Continuation(context="a", continuation=" b")])
    with pytest.raises(ModelError, match="is a classifier of texts"):
        classifier.embed([Embedding(text="a")])


def test_a_dtype_that_is_too_slow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="dtype must be float32 or bfloat16"):
        load_classifier(str(save_classifier(tmp_path)), dtype="float16", device="cpu")
