"""A study in which an edit comes with settings of its own: its chapter concludes nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from equipoise.export import tables
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON
from equipoise.report.html import study_page
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

RECIPE = """\
title: An edit with settings of its own
models: [{{name: {model}, as: tiny}}]
benchmarks: [{{name: genbias, split_by: both}}]
mitigations:
  - {{name: lftf, as: parity, objective: parity, epochs: 1, learning_rate: 0.001}}
supply: {{name: genbias, split_by: both}}
data: planted:default
seeds: [0]
draws: 20
limit: 8
"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"start_token": None}, "start token '<bos>' against none"),
        ({"dtype": "bfloat16"}, "dtype float32 against bfloat16"),
        (
            {"chat": {"turn": "user", "reading": "text", "system": None}},
            'chat form plain against chat (turn "user")',
        ),
        ({}, ""),
    ],
)
def test_a_chapter_whose_settings_differ_has_no_verdict(
    change: Mapping[str, JSON],
    text: str,
    written: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = LanguageModel.info.fget  # type: ignore[attr-defined]

    def info(self: LanguageModel) -> Mapping[str, JSON]:
        return {**plain(self), **(change if "+" in self.identity else {})}

    monkeypatch.setattr(LanguageModel, "info", property(info))
    summary = run(plan(Recipe.from_yaml(written(RECIPE))), Store.open(tmp_path / "run"))
    assert summary.failed == ()
    study = read_study(tmp_path / "run")
    (chapter,) = study.chapters
    differs = bool(change)
    assert (chapter.verdict.direction == "not comparable") == differs
    (comparison,) = chapter.comparisons
    assert [difference.text for difference in comparison.differences] == [text] * differs
    assert not [finding for finding in study.findings if finding.level == "error"]
    assert ("not comparable: " in study_page(study)) == differs
    assert set(tables.changes(study)["differences"]) == {text}
