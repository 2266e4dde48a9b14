"""Where numbers come from: everything once, nothing left out; names of settings."""

from dataclasses import replace

import pytest

from equipoise.records import JSON, DataUse
from equipoise.report.html import study_page
from equipoise.report.provenance import (
    edit_rest,
    flat,
    model_rest,
    options_text,
    provenance,
    setting_names,
    setting_of,
    training_end,
)
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Measured, Study

from .making import CHANGE, comparison, edit, measurement, study


def test_every_source_of_a_result_is_listed() -> None:
    sources = provenance(study())
    ((use, readers),) = sources.data
    assert (use.name, use.sha256, readers) == ("stereoset/dev.json", "d" * 64, "stereoset")
    assert [name for name, _ in sources.settings] == ["stereoset"]
    assert sources.environments == [(("numpy", "2.4"), ("python", "3.11"))]
    assert sources.comparisons == [
        "2,000 paired bootstrap draws of whole clusters (target), seed 0"
    ]
    assert '"seeds": [' in sources.recipe


def test_a_model_is_named_as_the_recipe_names_it() -> None:
    sources = provenance(study())
    assert [label for label, _ in sources.models] == [
        "gpt2", "lftf on gpt2, seed 7", "lftf on gpt2, seed 8",
    ]  # fmt: skip
    assert '"kind": "causal"' in model_rest(sources.models[0][1].model_info)
    assert "prefix" not in model_rest(sources.models[0][1].model_info)


def test_page_names_settings_and_data_files() -> None:
    text = study_page(study())
    for what in (
        "<dd>1, split dev, examples: all</dd>",
        "<dt>options</dt><dd>axis &#34;all&#34;</dd>",
        "<dd>1000 bootstrap draws over target</dd><dt>seeds</dt><dd>0</dd>",
        "<dt>licence</dt><dd>CC BY-SA 4.0</dd>",
        "<dt>revision</dt><dd>abc</dd><dt>read by</dt><dd>stereoset</dd>",
    ):
        assert what in text, what


def test_page_names_the_settings_of_a_model() -> None:
    text = study_page(study())
    row = (
        '<td class="hash">not recorded</td><td>eos</td><td>50256 (&#34;&lt;|end|&gt;&#34;)</td>\n'
        "<td>none</td>\n<td>not recorded</td></tr>"
    )
    assert row in text
    info: dict[str, JSON] = {
        "prefix": "none", "start_token_id": None, "chat_template": "{{ messages }}",
    }  # fmt: skip
    measured = Measured(
        model="m", mitigation=None, seed=None, measurement=measurement(model_info=info)
    )
    text = study_page(Study(title="t", recipe={}, measured=(measured,)))
    assert "<td>none</td><td>none</td>\n<td>{{ messages }}</td>" in text
    chat: dict[str, JSON] = {
        "reading": "text",
        "turn": "user",
        "request": None,
        "system": "Be fair.",
    }
    info |= {"kind": "causal", "start_reason": "as chosen", "chat": chat}
    measured = replace(measured, measurement=measurement(model_info=info))
    text = study_page(Study(title="t", recipe={}, measured=(measured,)))
    assert "<td>none (as chosen)</td><td>none</td>" in text
    assert "<td>chat, text in the user&#39;s turn; system prompt: &#39;Be fair.&#39;</td>" in text


def test_edits_that_differ_in_their_seed_alone_are_together() -> None:
    ((label, edits),) = provenance(study()).edits
    assert label == "lftf on gpt2"
    assert [edit["seed"] for edit in edits] == [7, 8]
    assert options_text(edits[0]) == 'objective "ce_both"'
    assert '"loss"' in edit_rest(edits[0])
    text = study_page(study())
    assert "<dt>learnt from</dt><dd>genbias():train</dd><dt>seeds</dt><dd>7, 8</dd>" in text
    assert "its own report, seed 8" in text


def test_end_of_training_is_shown_if_recorded() -> None:
    ended = {"steps": 40, "stopped": "enough", "undone": "steps 31 to 40, after which it was worse"}
    edits = (edit(0) | {"report": ended}, edit(1) | {"report": {"steps": 9, "stopped": "full"}})
    assert [training_end(each) for each in (*edits, edit(2))] == [
        "after 40 steps: enough; undone: steps 31 to 40, after which it was worse",
        "after 9 steps: full",
        None,
    ]
    chapter = replace(study().chapters[0], edits=(*edits, edit(2)))
    text = study_page(Study(title="t", recipe={}, chapters=(chapter,)))
    assert "<dt>training ended, seed 1</dt><dd>after 9 steps: full</dd>" in text
    assert text.count("its own report") == 3


def test_other_data_under_the_same_name_is_another_file() -> None:
    other = measurement(examples_sha256="f" * 64, data=())
    measured = [
        Measured(model="m", mitigation=None, seed=None, measurement=each)
        for each in (measurement(), measurement(), other)
    ]
    sources = provenance(Study(title="t", recipe={}, measured=tuple(measured)))
    assert [alike[0].examples_sha256[0] for _, alike in sources.settings] == ["e", "f"]
    assert len(sources.data) == 1


def test_empty_study_has_no_sources() -> None:
    sources = provenance(Study(title="t", recipe={}))
    assert (sources.data, sources.settings, sources.models, sources.recipe) == ([], [], [], "")
    assert flat({}) == "none"


def names(*changes: dict[str, object]) -> list[str]:
    return list(setting_names(measurement(**change) for change in changes).values())  # type: ignore[arg-type]


def test_a_single_setting_needs_only_the_benchmark() -> None:
    assert names({}, {"seed": 7, "model_info": {}}) == ["stereoset"]


def test_settings_are_named_by_their_differences() -> None:
    assert names({}, {"options": {"axis": "race", "same": 1}}) == [
        'stereoset (axis "all")',
        'stereoset (axis "race", same 1)',
    ]
    assert names({}, {"split": "test", "limit": 50}) == [
        "stereoset (split dev, limit all)",
        "stereoset (split test, limit 50)",
    ]
    assert names({}, {"benchmark": "genbias"}) == ["stereoset", "genbias"]


def test_a_recipes_own_name_goes_before() -> None:
    assert names({}, {"options": {"axis": "race"}, "label": "of race"}) == [
        'stereoset (axis "all")',
        "of race",
    ]
    labelled = measurement(label="of race")
    changed = replace(comparison(CHANGE), before=labelled)
    text = study_page(
        Study(
            title="t",
            recipe={},
            chapters=(
                replace(study().chapters[0], comparisons=(changed,), verdict=verdict_of([changed])),
            ),
        )
    )
    assert "of race ss" in text
    assert "stereoset ss" not in text


def test_a_setting_does_not_depend_on_the_order_of_options() -> None:
    first = measurement(options={"a": 1, "b": [2]})
    other = measurement(options={"b": [2], "a": 1})
    assert setting_of(first) == setting_of(other)


@pytest.mark.parametrize(
    ("verified", "words"),
    [
        (True, "✓ the official file"),
        (False, "✗ not a known official file"),
        (None, "a file of the user&#39;s own"),
    ],
)
def test_what_a_data_file_is_called(verified: bool | None, words: str) -> None:
    use = DataUse(name="mine.csv", sha256="a" * 64, licence="", verified=verified)
    measured = Measured(model="m", mitigation=None, seed=None, measurement=measurement(data=(use,)))
    text = study_page(Study(title="t", recipe={}, measured=(measured,)))
    assert f"<dt>file</dt><dd>{words}</dd>" in text
