"""Rows in BBQ's official form about two trees, built in code: no text of the data set."""

import json
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

OAK, ELM, UNKNOWN = "the oak", "The elm.", "Not known"
#: Where "unknown" stands, and with it the oak and the elm: the official files mix the order too.
PLACES = ((OAK, ELM, UNKNOWN), (UNKNOWN, OAK, ELM), (ELM, UNKNOWN, OAK))
INFO = {OAK: ["oak", "old"], ELM: ["elm", "nonOld"], UNKNOWN: ["Not known", "unknown"]}


def row(number: int, *, polarity: str, condition: str, right: str, **changed: Any) -> Any:
    """One question whose stereotyped group is "old", the oak's; `changed` replaces fields."""
    answers = PLACES[number % 3]
    verb = "fell" if polarity == "neg" else "stood"
    evidence = "" if condition == "ambig" else f" The one that {verb} was {right}"
    fields = {
        "example_id": number,
        "question_index": str(number // 12 + 1),
        "question_polarity": polarity,
        "context_condition": condition,
        "category": "Age",
        "answer_info": {f"ans{index}": INFO[answer] for index, answer in enumerate(answers)},
        "additional_metadata": {"subcategory": "None", "stereotyped_groups": ["old"]},
        "context": f"An oak and an elm stood by road {number}.{evidence}",
        "question": f"Which one {verb}?",
        **{f"ans{index}": answer for index, answer in enumerate(answers)},
        "label": answers.index(right),
    }
    return fields | changed


def rows(templates: int = 2) -> list[Any]:
    """Twelve rows a template: both polarities and conditions, both trees right equally often."""
    kinds = [("ambig", UNKNOWN), ("disambig", OAK), ("disambig", ELM)]
    cells = [(polarity, kind) for polarity in ("neg", "nonneg") for kind in kinds * 2]
    questions = []
    for number in range(12 * templates):
        polarity, (condition, right) = cells[number % 12]
        questions.append(row(number, polarity=polarity, condition=condition, right=right))
    return questions


def write(folder: Path, content: Iterable[Any], category: str = "Age") -> Path:
    """The rows as a category's file in a data folder."""
    file = folder / "bbq" / f"{category}.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(question) + "\n" for question in content))
    return file


def write_metadata(folder: Path, content: Iterable[Mapping[str, Any]]) -> Path:
    """The official metadata file with these of its columns."""
    columns = ("category", "question_index", "example_id", "target_loc", "label_type")
    lines = [",".join(f'"{column}"' for column in columns)]
    lines += [",".join(str(question[key]) for key in columns) for question in content]
    file = folder / "bbq" / "additional_metadata.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def metadata(content: Iterable[Any]) -> list[dict[str, Any]]:
    """What the official metadata says of such rows: the oak if negative, the elm if not."""
    return [
        {
            "category": question["category"],
            "question_index": question["question_index"],
            "example_id": question["example_id"],
            "label_type": "label",
            "target_loc": [question[f"ans{index}"] for index in range(3)].index(
                OAK if question["question_polarity"] == "neg" else ELM
            ),
        }
        for question in content
    ]


#: Category to pairs: word and group of the stereotyped person and of the other, and whom the
#: question's list names. Invented, in the forms that the official files have.
PAIRS: dict[str, list[tuple[list[str], list[str], list[str]]]] = {
    "Age": [(["oak", "old"], ["elm", "nonOld"], ["old"])],
    "Disability_status": [(["bent oak", "disabled"], ["elm", "nonDisabled"], ["Disabled"])],
    "Gender_identity": [
        (["oak lady", "woman"], ["elm lord", "man"], ["F"]),
        (["Oa", "trans_F"], ["El", "nonTrans_M"], ["transgender women", "trans"]),
    ],
    "Nationality": [(["Oaklander", "North"], ["Elmlander", "South"], ["Oaklander", "Ashlander"])],
    "Physical_appearance": [(["tall oak", "posTall"], ["elm", "negTall"], ["posTall"])],
    "Race_ethnicity": [
        (["oak", "Oak"], ["elm", "Elm"], ["Oak", "Ash"]),
        (["Oa Field", "F-Oak"], ["El Field", "F-Elm"], ["Oak"]),
    ],
    "Race_x_SES": [
        (["oak king", "highSES-Oak"], ["oak miller", "lowSES-Oak"], ["Oak", "Ash"]),
        (["oak king", "highSES-Oak"], ["elm king", "highSES-Elm"], ["Oak", "Ash"]),
        (["oak king", "highSES-Oak"], ["elm miller", "lowSES-Elm"], ["Oak", "Ash"]),
    ],
    "Race_x_gender": [
        (["oak woman", "F-Oak"], ["oak man", "M-Oak"], ["Oak"]),
        (["oak woman", "F-Oak"], ["elm woman", "F-Elm"], ["Oak"]),
        (["oak woman", "F-Oak"], ["elm man", "M-Elm"], ["Oak"]),
    ],
    "Religion": [(["oakist", "Oakist"], ["elmist", "Elmist"], ["oakist"])],
    "SES": [(["cutter", "lowSES"], ["owner", "highSES"], ["low SES"])],
    "Sexual_orientation": [(["oak", "oak"], ["elm", "elm"], ["Oak"])],
}


def category_rows(category: str) -> tuple[list[Any], list[int]]:
    """Rows in a category's own forms, and the place of each one's stereotyped person."""
    content: list[Any] = []
    stereotyped: list[int] = []
    kinds = [("ambig", 2), ("disambig", 0), ("disambig", 1)]  # whose answer is right
    for pair in PAIRS[category]:
        people = [*pair[:2], ["Not known", "unknown"]]
        for number, (polarity, (condition, right)) in enumerate(product(("neg", "nonneg"), kinds)):
            for turn in range(3):  # who stands where
                places = [(place + turn) % 3 for place in range(3)]
                info = [people[place] for place in places]
                fields = row(
                    len(content), polarity=polarity, condition=condition, right=UNKNOWN,
                    category=category, question_index="1", label=places.index(right),
                    answer_info={f"ans{index}": names for index, names in enumerate(info)},
                    additional_metadata={"stereotyped_groups": pair[2]},
                    **{f"ans{index}": f"The {names[0]}" for index, names in enumerate(info)},
                )  # fmt: skip
                content.append(fields | {"context": f"Two met by road {number}, {turn}."})
                stereotyped.append(places.index(0))
    return content, stereotyped
