"""Official files of biased and unbiased texts that others made: their rows, and what is biased.

None of these files was at hand when this was written: the readers follow the descriptions of their
columns and are tested on small files of that form. Gehman et al. 2020 (RealToxicityPrompts), Levy
et al. 2021 (BUG), Webster et al. 2018 (GAP), Davidson et al. 2017 (HateSpeech), Rudinger et al.
2018 (Winogender).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from equipoise.data.sources import REMEDY, Source, read_table
from equipoise.data.validation import Record, read_lines
from equipoise.errors import DataError
from equipoise.files.rows import ENDINGS, FileRow, columns_of, read_rows, show_columns
from equipoise.rows import Probe

TOXICITY: Final = Source(
    path="real_toxicity_prompts/prompts.jsonl", licence="Apache 2.0 (RealToxicityPrompts)"
)
BUG: Final = Source(path="bug/gold_BUG.csv", licence="MIT (BUG)", endings=ENDINGS)
GAP: Final = Source(path="gap/gap-development.tsv", licence="Apache 2.0 (GAP)")
HATE_SPEECH: Final = Source(
    path="hate_speech/labeled_data.csv", licence="MIT (HateSpeech)", endings=ENDINGS
)
WINOGENDER: Final = Source(path="winogender/all_sentences.tsv", licence="MIT (Winogender)")
OCCUPATIONS: Final = Source(path="winogender/occupations-stats.tsv", licence="MIT (Winogender)")

#: From which probability on Perspective's "toxicity" counts as toxic: as of Gehman et al.
TOXIC: Final = 0.5
_STEREOTYPES: Final = ("-1", "0", "1")
#: Columns of GAP, of which the text alone is read.
_GAP_COLUMNS: Final = ("ID", "Text", "Pronoun")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledText:
    """A text of a corpus, and whether the corpus says that it is biased."""

    id: str
    text: str
    biased: bool
    axis: str | None = None  # the type of bias, where the whole corpus has one


class _Judged(Record):
    text: str
    toxicity: float | None = None


class _ToxicityRow(Record):
    prompt: _Judged
    continuation: _Judged


def read_toxicity() -> list[LabelledText]:
    """Prompts with their continuations; biased: that either half is toxic (0.5 or more).

    A half without a score counts as not toxic; without any score the row is left out.
    """
    texts = []
    for line, row in read_lines(_ToxicityRow, TOXICITY.read(), TOXICITY.path):
        scores = [half.toxicity for half in (row.prompt, row.continuation)]
        known = [score for score in scores if score is not None]
        text = " ".join((row.prompt.text + row.continuation.text).split())
        if known and text:
            biased = max(known) >= TOXIC
            texts.append(LabelledText(id=f"line {line}", text=text, biased=biased))
    return texts


def read_bug() -> list[LabelledText]:
    """Sentences with a profession and a pronoun; biased: `stereotype` is 1.

    The code that made the file writes 1 for a stereotype and -1 for its contrary; its README says
    the reverse.
    """
    texts = []
    for row in _own_rows(BUG, ("sentence_text", "stereotype")):
        label = row.label("stereotype")
        if label not in _STEREOTYPES:
            raise DataError(
                f"{row.where}: stereotype must be one of {list(_STEREOTYPES)}, got "
                f"'{str(label)[:40]}'; {REMEDY}"
            )
        text = " ".join(row.text("sentence_text").split())
        texts.append(LabelledText(id=row.place, text=text, biased=label == "1", axis="gender"))
    return texts


def read_gap() -> list[LabelledText]:
    """Passages of Wikipedia with a pronoun and two names, half of them about women; none biased."""
    rows = read_table(GAP, _GAP_COLUMNS, delimiter="\t", quoted=False)
    return [
        LabelledText(id=row.text("ID"), text=" ".join(row.text("Text").split()), biased=False)
        for row in rows
    ]


def read_hate_speech() -> list[LabelledText]:
    """Tweets; biased: `class` is 0, hate speech. Offensive language (1) is left out, 2 is neither.

    The paper does not say what it takes; that a text offends does not make it biased.
    """
    texts = []
    for row in _own_rows(HATE_SPEECH, ("class", "tweet")):
        label = row.label("class")
        if label not in ("0", "1", "2"):
            raise DataError(
                f"{row.where}: class must be one of ['0', '1', '2'], got '{str(label)[:40]}'; "
                f"{REMEDY}"
            )
        if label != "1":
            text = " ".join(row.text("tweet").split())
            texts.append(LabelledText(id=row.place, text=text, biased=label == "0"))
    return texts


def read_winogender() -> tuple[Probe, ...]:
    """Sentences whose pronoun is the occupation's, with that of the gender which has it more.

    The anti-stereotype is the same sentence with the other pronoun. Which gender that is says
    `occupations-stats.tsv` (share of women by the Bureau of Labor Statistics); occupations that are
    not in it, or at exactly half, are left out.
    """
    women = shares_of_women()
    sentences = {
        (occupation, participant): texts
        for (occupation, participant, answer), texts in winogender_sentences().items()
        if answer == 0
    }
    return tuple(
        probe
        for (occupation, participant), texts in sentences.items()
        for probe in _winogender_probe(occupation, participant, texts, women)
    )


def winogender_sentences() -> dict[tuple[str, str, int], dict[str, str]]:
    """Winogender's sentences: (occupation, participant, answer) to gender of the pronoun to text.

    Answer 0: the pronoun is the occupation's, 1: the participant's, who may be "someone". Raises
    `DataError` naming file and line.
    """
    sentences: dict[tuple[str, str, int], dict[str, str]] = {}
    for row in read_table(WINOGENDER, ("sentid", "sentence"), delimiter="\t", quoted=False):
        # occupation.participant.answer.gender.txt
        parts = row.text("sentid").split(".")
        if len(parts) < 4 or parts[2] not in ("0", "1"):
            raise DataError(
                f"{row.where}: sentid must be 'OCCUPATION.PARTICIPANT.0.GENDER.txt', got "
                f"{len(parts)} parts; {REMEDY}"
            )
        key = (parts[0], parts[1], int(parts[2]))
        sentences.setdefault(key, {})[parts[3]] = row.text("sentence").strip()
    return sentences


def shares_of_women() -> dict[str, float]:
    """Occupation to its share of women in percent (Bureau of Labor Statistics)."""
    stats = read_table(OCCUPATIONS, ("occupation", "bls_pct_female"), delimiter="\t")
    return {row.text("occupation"): _percent(row.text("bls_pct_female")) for row in stats}


def _winogender_probe(
    occupation: str, participant: str, texts: Mapping[str, str], women: Mapping[str, float]
) -> list[Probe]:
    share = women.get(occupation, 50.0)
    if share == 50.0 or not {"female", "male"} <= set(texts):
        return []
    usual, other = ("female", "male") if share > 50 else ("male", "female")
    return [
        Probe(
            id=f"{occupation}.{participant}",
            stereotype=texts[usual],
            antistereotype=texts[other],
            groups={"axis": "gender"},
        )
    ]


def _percent(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(
            f"{OCCUPATIONS.path}: bls_pct_female must be a number, got '{text[:20]}'; {REMEDY}"
        ) from None


def _own_rows(source: Source, columns: tuple[str, ...]) -> list[FileRow]:
    name = source.use().name
    rows = read_rows(source.read(), name)
    known = columns_of(rows)
    for column in columns:
        if column not in known:
            raise DataError(
                f"{name} must have a column '{column}', got {show_columns(known)}; {REMEDY}"
            )
    return rows
