"""FairMT-Bench: dialogues held, refusals, verdicts and the control, with judges that are told."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from chat_forms import chat_model
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.fairmt import CONTROL, FairMt, Large, Small
from equipoise.data.fairmt import sources
from equipoise.errors import ModelError, OptionError
from equipoise.judge.base import Judge
from equipoise.judge.lexicon import Lexicon
from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.records import OPTIONS, Measurement
from equipoise.testing import FakeScorer

SEEN: list[JudgedText] = []
TASKS = ("Fixed_Format", "Interference_Misinformation")


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ByWord(Judge):
    """Biased where "lazy" is said, refused where "rather not", no verdict of "what"."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    hears_user: bool = False  # whether it goes by the prompt

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        SEEN.extend(texts)
        return [self._judge(text) for text in texts]

    def _judge(self, judged: JudgedText) -> Judgement:
        text = judged.prompt + judged.text if self.hears_user else judged.text
        if "what" in text:
            return Judgement(strength=math.nan, reason="no verdict; it says what")
        verdict = "biased" if "lazy" in text else "refused" if "rather not" in text else "unbiased"
        return Judgement(strength=float(verdict == "biased"), verdict=verdict)


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every file of the large edition, most of them empty, and of the small edition."""
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    for source in (*sources("10K"), *sources("1K")):
        file = tmp_path / source.path
        file.parent.mkdir(parents=True, exist_ok=True)
        keys = [f"{k}-turn Conv" if "10K" in source.path else str(k) for k in range(5)]
        group = file.stem.removeprefix("prompt_")
        last = ["Owls, lazy?", "Elks?", "Hens?", "Toads?"]
        rows = [
            dict(zip(keys, (f"{file.parent.name} {group} {n}.", "B", "C", "D", text), strict=True))
            for n, text in enumerate(last)
        ]
        kept = file.parent.name in TASKS or file.stem in TASKS
        file.write_text(json.dumps(rows if kept else []))
    return tmp_path


def measured(model: FakeScorer, **options: object) -> Measurement:
    benchmark = FairMt(**{"judge": ByWord(), **options})  # type: ignore[arg-type]
    return measure(model, benchmark, draws=50)


MODEL = FakeScorer(
    texts={
        "B": "Well. User: no.",
        "Owls, lazy?": "Yes, lazy ones.",
        "Elks?": "I can't help with that.",
        "Hens?": "They are fine birds.",
        "Toads?": "I would rather not say.",
    }
)


@pytest.mark.thorough
@pytest.mark.usefixtures("files")
def test_biased_of_what_is_no_refusal() -> None:
    result = measured(MODEL)
    groups = 6 * len(TASKS)
    assert len(result.outcomes) == 4 * groups
    ratio = result.estimate("bias_ratio")
    assert (ratio.value, ratio.n, ratio.ideal) == (50, 4 * groups, 0)
    assert result.estimate("bias_ratio_of_all").value == 25
    assert result.estimate("refused").value == 50
    assert result.estimate("refused_by_rule").value == 25
    assert result.estimate("bias_ratio_control").value == 0
    assert result.estimate("bias_ratio", task=TASKS[0]).value == 50
    assert result.estimate("bias_ratio", attribute="disable").value == 50
    assert result.estimate("attribute_gap").value == 0
    assert result.estimate("attribute_gap_p").value == 1
    assert result.cluster == "cluster"


@pytest.mark.usefixtures("files")
def test_the_judge_sees_the_conversation_and_no_refusal_by_the_rule() -> None:
    measured(MODEL, edition=Large(attributes=("age",)), tasks=("Fixed_Format",))
    assert len(SEEN) == 3 + 4
    assert sum(text.text == CONTROL for text in SEEN) == 4
    assert not any("help with that" in text.text for text in SEEN)
    first = SEEN[0]
    assert first.text == "Yes, lazy ones."
    assert first.prompt.startswith("User: Fixed_Format age 0.\n\nAssistant: \n\nUser: B\n\n")
    assert first.prompt.endswith("User: Owls, lazy?")
    assert (first.quality, first.words, first.names) == ("", (), ())


@pytest.mark.thorough
@pytest.mark.usefixtures("files")
def test_every_turn_may_be_judged() -> None:
    result = measured(MODEL, judge_turns="all", control=False)
    assert result.estimate("bias_ratio_turn_5").value == 50
    assert result.estimate("bias_ratio_turn_2").value == 0
    # four answers before, and half of the last
    assert result.estimate("bias_ratio").value == pytest.approx(100 / (4 * 4 + 2))
    assert result.estimate("degenerate").value == pytest.approx(100 * 3 / 5)
    names = {estimate.metric for estimate in result.estimates}
    assert "bias_ratio_control" not in names


@pytest.mark.thorough
@pytest.mark.usefixtures("files")
def test_a_judge_of_what_the_user_says_is_found_by_the_control() -> None:
    result = measured(MODEL, judge=ByWord(hears_user=True))
    assert result.estimate("bias_ratio_control").value == 25
    assert any(note.startswith("control: the judge calls a neutral") for note in result.notes)


@pytest.mark.thorough
@pytest.mark.usefixtures("files")
def test_without_a_verdict_there_is_no_ratio_and_a_reason() -> None:
    unread = FakeScorer(texts=dict.fromkeys(MODEL.texts, "so what"))
    result = measured(unread)
    ratio = result.estimate("bias_ratio")
    assert math.isnan(ratio.value)
    assert ratio.reason
    assert result.estimate("unjudged").value == 100
    assert result.estimate("bias_ratio_most").value == 100
    assert any("unjudged: 48 of 48 outcomes: no verdict" in note for note in result.notes)
    words = measured(MODEL, judge=Lexicon())  # which knows no scale
    assert math.isnan(words.estimate("bias_ratio").value)
    assert any("knows no other scale" in note for note in words.notes)


@pytest.mark.usefixtures("files")
def test_the_small_edition_has_no_attributes() -> None:
    result = measured(MODEL, edition=Small())
    assert len(result.outcomes) == 8
    groups = {key for estimate in result.estimates for key in estimate.group}
    assert groups == {"task"}
    assert "attribute_gap" not in {estimate.metric for estimate in result.estimates}
    assert len(result.data) == 6


@pytest.mark.thorough
@pytest.mark.usefixtures("files")
def test_notes_say_what_was_left_out() -> None:
    result = measured(MODEL, edition=Large(part="all"))
    # both parts say the same here
    assert "dialogues: 48 different ones" in str(result.notes)
    assert "32 copies are left out" in str(result.notes)
    assert any(note.startswith("empty: ") for note in result.notes)
    assert not all(file.verified for file in result.data)


@pytest.mark.thorough
@pytest.mark.usefixtures("files")
def test_a_model_that_is_not_in_a_chat_is_refused() -> None:
    benchmark = FairMt(judge=ByWord(), max_tokens=4)
    with pytest.raises(ModelError, match="--chat"):
        measure(chat_model("smollm"), benchmark, limit=1)
    result = measure(chat_model("smollm").in_chat(), benchmark, limit=3, draws=0)
    assert len(result.outcomes) == 3
    assert all(str(row.text).count("\n\nAssistant: ") == 5 for row in result.outcomes)
    with pytest.raises(ModelError, match=r"'.*' must fit the context .* 5 times 150 to write"):
        measure(chat_model("smollm").in_chat(), FairMt(judge=ByWord()), limit=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "fairmt.judge must be given"),
        ({"judge": "lexicon", "tasks": ["Fixed_From"]}, "fairmt.tasks"),
        ({"judge": "lexicon", "tasks": []}, "fairmt.tasks"),
        ({"judge": "lexicon", "edition": "5K"}, "no choice '5K'"),
        ({"judge": "lexicon", "edition": {"name": "1K", "part": "all"}}, "no option 'part'"),
        ({"judge": "lexicon", "edition": {"attributes": ["height"]}}, "attributes"),
        (
            {"judge": "lexicon", "edition": {"part": "toxicity", "attributes": ["age"]}},
            r"part toxicity must be of \['disable', 'gender', 'race', 'religion'\], got \['age'\]",
        ),
        ({"judge": "lexicon", "max_tokens": 0}, "max_tokens"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(Benchmark, "fairmt", options)  # type: ignore[arg-type]
