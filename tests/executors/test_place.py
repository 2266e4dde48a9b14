"""What `--on` may name."""

import pytest

from equipoise.errors import RecipeError
from equipoise.executors.place import Place, parse_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("local:3", Place(engine="local", processes=3)),
        ("ray", Place(engine="ray")),
        ("ray:auto", Place(engine="ray", address="auto")),
        ("ray:10.0.0.1:6379", Place(engine="ray", address="10.0.0.1:6379")),
        ("ray://head:10001", Place(engine="ray", address="ray://head:10001")),
        ("slurm", Place(engine="slurm")),
        ("submitit-local", Place(engine="submitit-local")),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert parse_place(text) == place
    assert place.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slrum", "did you mean 'slurm'?"),
        ("rya", "did you mean 'ray'?"),
        ("local", "did you mean 'local:2'?"),
        ("local:0", "got 'local:0'"),
        ("local:two", "got 'local:two'"),
        ("ray:", "did you mean 'ray'?"),
        ("slurm:gpu", "did you mean 'slurm'?"),
        ("", "--on must be one of local:N, ray, ray:HOST:PORT, slurm, submitit-local, got ''"),
    ],
)
def test_anything_else_is_refused_with_what_it_may_be(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_place(text)
    assert message in str(caught.value)
