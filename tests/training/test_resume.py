"""States of a training: kept whole, given back as they were, and never taken from another."""

from pathlib import Path

import pytest
import torch
from torch import nn

from equipoise.errors import StoreError
from equipoise.models import kernels as matmul
from equipoise.models.kernels import Matmul, float32_path, settled_path
from equipoise.training.resume import (
    State,
    read_state,
    states_kept_in,
    tensors_of,
    training_key,
    write_state,
)

KEY, OTHER = "a" * 64, "a" * 32 + "b" * 32  # both are kept under the same name


def state(steps: int = 4) -> State:
    return State(
        steps=steps,
        losses=(1.5, float(torch.tensor(0.1)), 1e-300, 3.0),
        norms=(0.5, float(torch.tensor(0.3)), 1e-300, 2.0),
        watch={"looks": [1, {"ss": 50.5}], "reason": ""},
        stopped=False,
        tensors={"value/a": torch.tensor([1.0, 2.0]), "step/a": torch.tensor(4.0)},
    )


def file_of(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_nothing_is_kept_outside_of_the_block(tmp_path: Path) -> None:
    write_state(KEY, state())
    assert read_state(KEY) is None
    with states_kept_in(tmp_path / "states"):
        assert read_state(KEY) is None
    assert not (tmp_path / "states").exists()


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    with states_kept_in(tmp_path / "not" / "there"):
        write_state(KEY, state(3))
        write_state(KEY, state())
        found = read_state(KEY)
    assert found is not None
    assert (found.steps, found.losses, found.watch) == (4, state().losses, state().watch)
    assert not found.stopped
    assert all(torch.equal(found.tensors[name], one) for name, one in state().tensors.items())
    assert file_of(tmp_path / "not" / "there").suffix == ".safetensors"  # no part is left


def test_blocks_nest(tmp_path: Path) -> None:
    with states_kept_in(tmp_path / "outer"):
        write_state(KEY, state())
        with states_kept_in(tmp_path / "inner"):
            assert read_state(KEY) is None
        assert read_state(KEY) is not None


def test_the_state_of_another_training_is_not_taken_up(tmp_path: Path) -> None:
    with states_kept_in(tmp_path):
        write_state(OTHER, state())
        assert read_state(KEY) is None
        assert read_state(OTHER) is not None


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_a_file_that_was_cut_is_not_taken_up(tmp_path: Path, share: float) -> None:
    with states_kept_in(tmp_path):
        write_state(KEY, state())
        file = file_of(tmp_path)
        whole = file.read_bytes()
        file.write_bytes(whole[: int(share * len(whole))])
        assert read_state(KEY) is None
        file.write_bytes(whole)
        assert read_state(KEY) is not None


@pytest.mark.parametrize("path", ["default", "onednn"])
def test_what_goes_on_takes_the_float32_path_of_the_states(
    tmp_path: Path, path: Matmul, monkeypatch: pytest.MonkeyPatch
) -> None:
    with states_kept_in(tmp_path), settled_path(path):
        write_state(KEY, state())
    other: Matmul = "onednn" if path == "default" else "default"
    monkeypatch.setattr(matmul, "best_float32_path", lambda: other)
    monkeypatch.setattr(matmul, "_has_onednn_linear", lambda: True)
    with states_kept_in(tmp_path / "elsewhere"):
        assert float32_path() == other
    with states_kept_in(tmp_path):
        assert float32_path() == path
    assert float32_path() == other


def test_a_state_that_names_no_float32_path_settles_none(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with states_kept_in(tmp_path):
        write_state(KEY, state())
    for head in ("{}", '{"float32_path": "other"}'):
        save_file({"value/a": torch.ones(2)}, file_of(tmp_path), metadata={"state": head})
        for path in ("default", "onednn"):
            with settled_path(path), states_kept_in(tmp_path):  # type: ignore[arg-type]
                assert float32_path() == path


def test_a_file_of_another_program_is_not_taken_up(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with states_kept_in(tmp_path):
        write_state(KEY, state())
        place = file_of(tmp_path)
        for metadata in (None, {"state": "[]"}, {"state": "{}"}, {"state": "not json"}):
            save_file({"value/a": torch.ones(2)}, place, metadata=metadata)
            assert read_state(KEY) is None
        place.unlink()
        place.mkdir()
        assert read_state(KEY) is None


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        states_kept_in(tmp_path / "file"),
        pytest.raises(StoreError, match="the state of a training must be written to") as error,
    ):
        write_state(KEY, state())
    assert str(tmp_path / "file") in str(error.value)


def test_parameters_and_moments_are_given_back() -> None:
    parameters = {name: nn.Parameter(torch.tensor([1.0, 2.0])) for name in ("used", "idle")}
    optimizer = torch.optim.AdamW(parameters.values(), lr=0.1)

    def step() -> None:
        parameters["used"].square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    kept = State(
        steps=1,
        losses=(5.0,),
        norms=(0.0,),
        watch=None,
        stopped=False,
        tensors={
            name: one.clone() for name, one in tensors_of(parameters, optimizer, chosen={}).items()
        },
    )
    assert set(kept.tensors) == {
        "value/used",
        "value/idle",
        "exp_avg/used",
        "exp_avg_sq/used",
        "step/used",
    }
    step()
    expected = parameters["used"].detach().clone()
    again = torch.optim.AdamW(parameters.values(), lr=0.1)
    optimizer = again
    kept.put(parameters, again)
    assert not torch.equal(parameters["used"], expected)
    step()
    assert torch.equal(parameters["used"], expected)
    assert torch.equal(kept.tensors["step/used"], torch.tensor(1.0))  # its own are not touched


def test_the_key_tells_values_names_shapes_and_what_else_is_told() -> None:
    def key(name: str = "a", values: object = (1.0, 2.0), about: object = "x") -> str:
        return training_key({name: nn.Parameter(torch.tensor(values))}, (about,))

    others = [
        key(name="b"),
        key(values=(1.0, 3.0)),
        key(values=((1.0, 2.0),)),
        key(about="y"),
    ]
    assert key() == key()
    assert len({key(), *others}) == 5
