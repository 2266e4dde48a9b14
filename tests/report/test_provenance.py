"""Where numbers come from: everything once, nothing left out."""

from dataclasses import replace

from equipoise.report.provenance import flat, provenance
from equipoise.study.study import Measured, Study

from .making import edit, measurement, study


def test_everything_that_a_number_rests_on_is_there() -> None:
    sources = provenance(study())
    (data,) = sources.data
    assert (data.name, data.sha256, data.official) == ("stereoset/dev.json", "d" * 64, True)
    assert (data.licence, data.revision, data.used_by) == ("CC BY-SA 4.0", "abc", "stereoset")
    (setting,) = sources.settings
    assert setting.examples_sha256 == "e" * 64
    assert (setting.options, setting.seeds, setting.draws) == ('axis "all"', "0", "1000")
    assert sources.environments == ((("numpy", "2.4"), ("python", "3.11")),)
    assert sources.comparisons == (
        "2,000 paired bootstrap draws of whole clusters (target), seed 0",
    )
    assert '"seeds": [' in sources.recipe


def test_a_model_is_named_as_the_recipe_names_it_and_says_how_it_was_asked() -> None:
    sources = provenance(study())
    assert [model.label for model in sources.models] == [
        "gpt2", "lftf on gpt2, seed 7", "lftf on gpt2, seed 8",
    ]  # fmt: skip
    first = sources.models[0]
    assert (first.prefix, first.token) == ("eos", '50256 ("<|end|>")')
    assert (first.chat_template, first.dtype) == ("none", "not recorded")
    assert '"kind": "causal"' in first.rest


def test_no_start_token_is_none_and_a_chat_template_is_told() -> None:
    info = {"prefix": "none", "start_token_id": None, "chat_template": "{{ messages }}"}
    measured = Measured(
        model="m", mitigation=None, seed=None, measurement=measurement(model_info=info)
    )
    (model,) = provenance(Study(title="t", recipe={}, measured=(measured,))).models
    assert (model.token, model.chat_template) == ("none", "{{ messages }}")


def test_edits_that_differ_in_their_seed_alone_are_one() -> None:
    (edit,) = provenance(study()).edits
    assert (edit.method, edit.origin, edit.seeds) == ("lftf", "genbias():train", "7, 8")
    assert edit.options == 'objective "ce_both"'
    assert [seed for seed, _ in edit.reports] == ["7", "8"]
    assert '"loss"' in edit.reports[0][1]


def test_how_training_ended_is_said_where_an_edit_says_it() -> None:
    ended = {"steps": 40, "stopped": "enough", "undone": "steps 31 to 40, after which it was worse"}
    edits = (edit(0) | {"report": ended}, edit(1) | {"report": {"steps": 9, "stopped": "full"}})
    chapter = replace(study().chapters[0], edits=(*edits, edit(2)))
    (sources,) = provenance(Study(title="t", recipe={}, chapters=(chapter,))).edits
    assert sources.ends == (
        ("0", "after 40 steps: enough; undone: steps 31 to 40, after which it was worse"),
        ("1", "after 9 steps: full"),
    )
    assert len(sources.reports) == 3


def test_other_data_under_the_same_name_is_another_file() -> None:
    other = measurement(examples_sha256="f" * 64, data=())
    measured = [
        Measured(model="m", mitigation=None, seed=None, measurement=each)
        for each in (measurement(), measurement(), other)
    ]
    sources = provenance(Study(title="t", recipe={}, measured=tuple(measured)))
    assert [setting.examples_sha256[0] for setting in sources.settings] == ["e", "f"]
    assert len(sources.data) == 1


def test_an_empty_study_rests_on_nothing() -> None:
    sources = provenance(Study(title="t", recipe={}))
    assert (sources.data, sources.settings, sources.models, sources.recipe) == ((), (), (), "")
    assert flat({}) == "none"
