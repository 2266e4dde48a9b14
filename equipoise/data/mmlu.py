"""MMLU's official files: questions with four lettered choices in 57 subjects.

Hendrycks et al. 2021 (arXiv 2009.03300); MIT. A file has no header; its columns are question, four
choices and the letter of the right choice. The official copy is an archive, so that its files must
be put into the data folder: `mmlu/test/SUBJECT_test.csv`, `mmlu/dev/SUBJECT_dev.csv` and so on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from equipoise.data.sources import Source, read_table
from equipoise.errors import DataError

LICENCE: Final = "MIT"
LETTERS: Final = ("A", "B", "C", "D")
SHOTS: Final = 5  # worked questions that a dev file has

#: Category to its subjects, as the paper groups them.
CATEGORIES: Final[Mapping[str, tuple[str, ...]]] = {
    "STEM": (
        "abstract_algebra", "astronomy", "college_biology", "college_chemistry",
        "college_computer_science", "college_mathematics", "college_physics", "computer_security",
        "conceptual_physics", "electrical_engineering", "elementary_mathematics",
        "high_school_biology", "high_school_chemistry", "high_school_computer_science",
        "high_school_mathematics", "high_school_physics", "high_school_statistics",
        "machine_learning",
    ),
    "humanities": (
        "formal_logic", "high_school_european_history", "high_school_us_history",
        "high_school_world_history", "international_law", "jurisprudence", "logical_fallacies",
        "moral_disputes", "moral_scenarios", "philosophy", "prehistory", "professional_law",
        "world_religions",
    ),
    "social sciences": (
        "econometrics", "high_school_geography", "high_school_government_and_politics",
        "high_school_macroeconomics", "high_school_microeconomics", "high_school_psychology",
        "human_sexuality", "professional_psychology", "public_relations", "security_studies",
        "sociology", "us_foreign_policy",
    ),
    "other": (
        # As in the paper; lm-evaluation-harness counts "anatomy" as STEM.
        "anatomy", "business_ethics", "clinical_knowledge", "college_medicine", "global_facts",
        "human_aging", "management", "marketing", "medical_genetics", "miscellaneous", "nutrition",
        "professional_accounting", "professional_medicine", "virology",
    ),
}  # fmt: skip

#: Subject to category.
SUBJECTS: Final[Mapping[str, str]] = {
    subject: category for category, subjects in CATEGORIES.items() for subject in subjects
}

_CHOICES = ("first choice", "second choice", "third choice", "fourth choice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with its choices, of which only 1 is right."""

    id: str  # "anatomy/1": subject and place in its file, from 1
    subject: str
    question: str  # ends stripped
    choices: tuple[str, ...]  # in the order of LETTERS; ends stripped
    answer: int  # place of the right choice


def source(subject: str, split: str) -> Source:
    """The file of a subject's split: "test", "val", or "dev" with the worked questions."""
    return Source(path=f"mmlu/{split}/{subject}_{split}.csv", licence=LICENCE)


def subjects_at_hand(split: str) -> tuple[str, ...]:
    """The subjects whose file is in the user's data folder, by name.

    Raises `DataError` when there is none.
    """
    present = tuple(
        subject for subject in sorted(SUBJECTS) if source(subject, split).local_file() is not None
    )
    if not present:
        raise DataError(
            f"mmlu: the data folder must have files of {len(SUBJECTS)} subjects, e.g. "
            f"'{source('anatomy', split).path}', got {len(present)}; put the official files there "
            "and name their folder in EQUIPOISE_DATA"
        )
    return present


def read_questions(subject: str, split: str) -> list[Question]:
    """The questions of a file, in its order. Raises `DataError` naming file and line."""
    columns = ("question", *_CHOICES, "answer")
    rows = read_table(source(subject, split), columns, header=False)
    return [
        Question(
            id=f"{subject}/{index}",
            subject=subject,
            question=row.text("question").strip(),
            choices=tuple(row.values[choice].strip() for choice in _CHOICES),
            answer=LETTERS.index(row.choice("answer", LETTERS)),
        )
        for index, row in enumerate(rows, start=1)
    ]


def read_shots(subject: str, count: int) -> list[Question]:
    """The first worked questions of a subject; its file is unread for 0.

    Raises `DataError` when the file has fewer, and as `read_questions` does.
    """
    if count == 0:
        return []
    questions = read_questions(subject, "dev")
    if len(questions) < count:
        raise DataError(
            f"{source(subject, 'dev').path} must have {count} questions to show, "
            f"got {len(questions)}; ask for fewer shots, or replace the file"
        )
    return questions[:count]
