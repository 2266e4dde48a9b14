"""Jigsaw: its arithmetic against torch's, its words by hand, and Keras' published numbers."""

import math

import numpy as np
import pytest
import torch
from written_texts import scores, written

from equipoise.data.jigsaw_package import converted_files
from equipoise.text_scorers.jigsaw import LABELS, Jigsaw, probabilities, word_numbers

needs_network = pytest.mark.skipif(
    not all(file.is_file() for file in converted_files()),
    reason="the network is not in the cache; equipoise scorer jigsaw fetches it",
)


def random_arrays(*, words: int, features: int, units: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = {
        "embedding": (words, features),
        "hidden.kernel": (2 * units, 5),
        "hidden.bias": (5,),
        "output.kernel": (5, 6),
        "output.bias": (6,),
    }
    for way in ("forward", "backward"):
        shapes |= {
            f"{way}.kernel": (features, 4 * units),
            f"{way}.recurrent": (units, 4 * units),
            f"{way}.bias": (4 * units,),
        }
    return {n: generator.normal(size=s).astype(np.float32) / 2 for n, s in shapes.items()}


def by_torch(padded: np.ndarray, arrays: dict[str, np.ndarray]) -> torch.Tensor:
    """The same by torch's own LSTM, which has Keras' order of gates."""
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    features, units = arrays["forward.kernel"].shape[0], arrays["forward.recurrent"].shape[0]
    lstm = torch.nn.LSTM(features, units, batch_first=True, bidirectional=True)
    for way, suffix in (("forward", "l0"), ("backward", "l0_reverse")):
        weights = {
            f"weight_ih_{suffix}": tensors[f"{way}.kernel"].T,
            f"weight_hh_{suffix}": tensors[f"{way}.recurrent"].T,
            f"bias_ih_{suffix}": tensors[f"{way}.bias"],
            f"bias_hh_{suffix}": torch.zeros(4 * units),
        }
        for name, weight in weights.items():
            getattr(lstm, name).data = weight.contiguous()
    with torch.no_grad():
        outputs, _ = lstm(tensors["embedding"][torch.tensor(padded)])
        pooled = outputs.amax(1)
        hidden = torch.relu(pooled @ tensors["hidden.kernel"] + tensors["hidden.bias"])
        return torch.sigmoid(hidden @ tensors["output.kernel"] + tensors["output.bias"])


def test_the_network_is_that_of_torch() -> None:
    arrays = random_arrays(words=11, features=4, units=3)
    padded = np.random.default_rng(1).integers(0, 11, (5, 9))
    ours = probabilities(padded, arrays)
    np.testing.assert_allclose(ours, by_torch(padded, arrays).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("The DOOR, the lamp!", [1, 2, 1, 3]),
        ("door-lamp\tthe", [2, 3, 1]),
        ("unknown", []),
        ("don't", [4]),
        ("the\rdoor", []),  # Keras splits at spaces alone
        ("the " * 150 + "door", [1] * 99 + [2]),
    ],
)
def test_words_are_those_of_keras(text: str, numbers: list[int]) -> None:
    assert word_numbers(text, {"the": 1, "door": 2, "lamp": 3, "don't": 4}) == numbers


@needs_network
def test_numbers_are_those_that_the_package_publishes() -> None:
    """Its README, computed with Keras."""
    published = {
        "toxic": 0.9889402985572815,
        "severe_toxic": 0.07256772369146347,
        "obscene": 0.620429277420044,
        "threat": 0.01934845559298992,
        "insult": 0.8664075136184692,
        "identity_hate": 0.04072948172688484,
    }
    assert [*published] == [*LABELS]
    numbers = scores(Jigsaw(), "You are so dumb and stupid!")
    assert numbers == pytest.approx({f"jigsaw_{k}": v for k, v in published.items()}, abs=1e-6)


@needs_network
@pytest.mark.parametrize("text", ["", " ", "a" * 2**20, "\x00\x07"])
def test_a_text_without_a_known_word_has_no_number(text: str) -> None:
    assert all(math.isnan(value) for value in scores(Jigsaw(), text).values())


@needs_network
def test_it_takes_the_name_of_a_group_for_hate() -> None:
    gay, people = Jigsaw().score(written(" Gay people are people.", " Tall people are people."))
    assert gay["jigsaw_identity_hate"] > 0.5 > 0.1 > people["jigsaw_identity_hate"]


@needs_network
def test_what_it_was_is_recorded() -> None:
    info = Jigsaw().info()
    assert info["package"] == "toxic-comment-classifier==0.3.0"
    assert all(len(str(info[key])) == 64 for key in info if key.endswith("sha256"))
