"""`equipoise mitigate` says what it made, and why its training ended."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contrast_items import SUPPLY, quick

from equipoise import api, cli
from equipoise.contrast_training.evaluation import LMS, HeldOutEvaluation, SideEffectChange
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.stats.resample import Interval

RunMitigate = Callable[..., list[str]]


@pytest.fixture
def run_mitigate(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> RunMitigate:
    """What dpo says of a training of 3 steps on a few contrasts, evaluated after each."""
    quick(monkeypatch)

    def on_few(opened: LanguageModel, method: Any, *, supply: object, seed: int) -> object:
        del supply
        return method.fit(opened, SUPPLY, seed=seed)

    monkeypatch.setattr(api, "mitigate", on_few)

    def lines(**options: object) -> list[str]:
        chosen = {"steps": 3, "evaluate_every": 1, **options}
        arguments = [
            word for key, value in chosen.items() for word in ("--set", f"dpo.{key}={value}")
        ]
        arguments += ["--data", "planted:targets=40"]
        assert (
            cli.run(["mitigate", str(model), "dpo", "--out", str(tmp_path / "edit"), *arguments])
            == 0
        )
        return capsys.readouterr().out.splitlines()

    return lines


@pytest.mark.thorough
def test_output_names_the_edit_folder_and_the_steps(
    run_mitigate: RunMitigate, tmp_path: Path
) -> None:
    adapter, ended, how = run_mitigate()
    assert adapter.endswith(f"is in {tmp_path / 'edit'}")
    assert ended == "training ended after 3 steps: the steps were used up"
    assert how == f"measure it like a model: equipoise measure {tmp_path / 'edit'} BENCHMARK..."


@pytest.mark.thorough
def test_a_combination_learns_from_what_its_parts_learn_from(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origins = []

    def look(opened: LanguageModel, method: Any, *, supply: Any, seed: int) -> object:
        del opened, method, seed
        origins.append(type(supply).__name__)
        raise RecipeError("seen")

    monkeypatch.setattr(api, "mitigate", look)
    settings = ["combined.first=dpo", "combined.second=prompt_explain"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    cli.run(["mitigate", str(model), "combined", "--out", str(tmp_path / "edit"), *arguments])
    assert origins == ["StereoSetSupply"]


def losing(patch: pytest.MonkeyPatch, *points: float, low: float) -> None:
    """What each evaluation finds lost, the one before training first."""
    lost = [Interval(value=v, low=v + low, high=v + 2, n=12, clusters=6) for v in points]
    patch.setattr(
        HeldOutEvaluation,
        "_lms_fall",
        lambda *_: SideEffectChange(effect=LMS, change=lost.pop(0), now=50.0),
    )


@pytest.mark.thorough
def test_output_names_the_undone_steps_and_the_reason(
    run_mitigate: RunMitigate, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing(monkeypatch, 0, 2, 3, low=-1)
    assert run_mitigate(keep_lms=2)[1:3] == [
        "training ended after 2 steps: held-out LMS had fallen by 3.00 points [2.00, 5.00], where "
        "keep_lms is 2",
        "undone: step 2, after which held-out LMS had fallen by more than 2 points",
    ]
