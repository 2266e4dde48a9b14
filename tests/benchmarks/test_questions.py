"""Questions of the user's own are asked, read and scored as BBQ's are."""

import json
from pathlib import Path
from typing import Any

import bbq_rows
import pytest

from equipoise.benchmarks.bbq import BBQ, Letters, Likelihood, Written
from equipoise.benchmarks.questions import Questions
from equipoise.checks.run import check_measurement
from equipoise.errors import DataError
from equipoise.measure import measure
from equipoise.rows import text_sha256
from equipoise.testing import FakeScorer


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Rows in BBQ's form, which stand at the place of BBQ's own, too."""
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    bbq_rows.write(tmp_path, bbq_rows.rows(templates=3))
    return str(tmp_path / "bbq" / "Age.jsonl")


def nats(context: str, text: str) -> float:
    """Leans to the oak, to A and to short answers, by different amounts."""
    return -len(text) / 7 + ("oak" in text.lower()) + (text == " A") * len(context) / 90


@pytest.mark.thorough
@pytest.mark.parametrize("score", [Likelihood(), Likelihood(reduce="sum"), Letters(), Written()])
def test_numbers_are_those_of_bbq(file: str, score: Any) -> None:
    official, mine = BBQ(score=score), Questions(file=file, score=score)
    prompts = [ask for item in official.examples("test") for ask in official.requests(item)]
    said = ("The oak", "B", "Not known", "no idea at all, or the elm")
    texts = {
        ask.context: said[index % 4]
        for index, ask in enumerate(prompts)
        if isinstance(score, Written)
    }
    scorer = FakeScorer(nats=nats, texts=texts)
    expected, measured = (measure(scorer, benchmark, draws=20) for benchmark in (official, mine))
    assert repr(measured.estimates) == repr(expected.estimates)
    for outcome, other in zip(measured.outcomes, expected.outcomes, strict=True):
        assert repr(outcome.values) == repr(other.values)
    assert all(finding.level == "ok" for finding in check_measurement(measured))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("answer", "accuracy", "bias"), [("oak", 50.0, 100.0), ("elm", 50.0, -100.0)]
)
def test_answerers_of_one_tree(tmp_path: Path, answer: str, accuracy: float, bias: float) -> None:
    """The target is in a column; categories are the file's."""
    rows = [
        {
            "context": f"An oak and an elm stood by road {n}.{evidence}", "question": "Which fell?",
            "answers": ["The oak", "The elm", "Nobody can know"], "label": right,
            "target": "The oak", "category": f"road{n % 3}", "template": n,
        }
        for n in range(12)
        for evidence, right in (("", 2), (" The oak fell.", 0), (" The elm fell.", 1))
    ]  # fmt: skip
    (tmp_path / "mine.json").write_text(json.dumps(rows))
    benchmark = Questions(file=str(tmp_path / "mine.json"))
    scorer = FakeScorer(nats=lambda _, text: -1.0 - 2 * (answer not in text))
    measurement = measure(scorer, benchmark, draws=20)
    assert measurement.estimate("accuracy_disambig").value == accuracy
    assert measurement.estimate("accuracy_ambig").value == 0.0
    assert measurement.estimate("bias_ambig", category="road1").value == bias
    assert measurement.estimate("bias_disambig").clusters == 12
    assert [use.verified for use in measurement.data] == [None]
    learnt = FakeScorer(trained_on=frozenset({text_sha256(str(rows[3]["context"]))}))
    with pytest.raises(DataError, match="trained on 1 of the 36"):
        measure(learnt, benchmark, draws=0)
