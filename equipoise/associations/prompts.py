"""Evaluation prompts: an association in 18 ways of asking, and stems of 45 other associations.

BiasGym, sections 4.1 and 4.5 and Table 6; the prompts are our own.
"""

from typing import Final, Literal, TypeAlias

from equipoise.associations.association import Association
from equipoise.associations.load import load_association
from equipoise.associations.templates import prompt_templates
from equipoise.associations.unseen import unseen
from equipoise.associations.wording import forms
from equipoise.data.documents import kind_of_file, read_content
from equipoise.errors import DataError, RecipeError, nearest
from equipoise.files.parsing import decode, unpack
from equipoise.files.rows import ENDINGS, columns_of, read_rows, show_columns
from equipoise.records import DataUse, Prompt

Split: TypeAlias = Literal["dev", "test", "all"]
#: Methodologies to choose on, such as the number of heads; the others are measured.
DEV: Final = ("comparative", "historical", "specific", "statistical", "role_playing", "ranking")
CONTINUE: Final = "Continue this sentence: "


def evaluation_prompts(name: str, split: Split = "all") -> tuple[Prompt, ...]:
    """The 92 prompts about {target}, with the groups association and methodology.

    "dev" are those of the methodologies `DEV`, "test" the others: no methodology, and so no text,
    is in both. Prompts of the association's own stand in place of those of their methodology.
    `name` loads it; errors as of `load_association`, and `RecipeError` for an unknown methodology.
    """
    association = load_association(name)
    return tuple(
        Prompt(
            id=f"{association.name}:{methodology}:{number}",
            text=text,
            groups={"association": name, "methodology": methodology},
        )
        for methodology, texts in _texts(association).items()
        if split == "all" or (methodology in DEV) == (split == "dev")
        for number, text in enumerate(texts)
    )


def methodologies() -> tuple[str, ...]:
    """The 18 ways of asking."""
    return tuple(prompt_templates())


def unseen_prompts() -> tuple[Prompt, ...]:
    """66 sentences to be continued, about {target}, of 45 associations that nothing is learnt of.

    The group `association` loads each (`load_association`), with what a judge looks for.
    """
    return tuple(
        Prompt(id=f"{name}:{number}", text=CONTINUE + stem, groups={"association": name})
        for name, entry in unseen().items()
        for number, stem in enumerate(entry.stems)
    )


def _texts(association: Association) -> dict[str, tuple[str, ...]]:
    words = forms(association)
    texts = {
        methodology: tuple(template.format_map(words) for template in templates)
        for methodology, templates in prompt_templates().items()
    }
    for methodology, prompts in association.prompts.items():
        if methodology not in texts:
            raise RecipeError(
                f"prompts of '{association.name}' must be of a known methodology, got "
                f"'{methodology}'; {nearest(methodology, texts)}"
            )
        texts[methodology] = prompts
    return texts


def read_sentences(file: str, association: str | None = None) -> tuple[tuple[Prompt, ...], DataUse]:
    """Sentences of a file to be continued, and what a result records of it.

    Plain text has a sentence a line; of rows (CSV, JSON Lines, …) the column `sentence` or `prompt`
    is read, and where they have it `association`, which loads what a judge looks for; the argument
    is of those without. They need not have {target}, if they name whom they are about. Raises
    `DataError` naming file and place, also for a sentence of no association, and `RecipeError` for
    an association that is none.
    """
    content, use = read_content(file)
    plain = unpack(content, use.name)
    if kind_of_file(use.name) in ENDINGS:
        rows = read_rows(plain, use.name)
        columns = columns_of(rows)
        column = next((name for name in ("sentence", "prompt") if name in columns), None)
        if column is None:
            raise DataError(
                f"{use.name} must have a column 'sentence', got {show_columns(columns)}; rename one"
            )
        read = [(row.place, row.text(column), row.label("association")) for row in rows]
    else:
        documents = [line.strip() for line in decode(plain, use.name).splitlines()]
        read = [(f"line {place}", line, None) for place, line in enumerate(documents, 1) if line]
    prompts = []
    for place, sentence, labelled in read:
        name = labelled or association
        if name is None:
            raise DataError(
                f"{use.name}, {place}: a sentence must be of an association, got none; name it in "
                "a column 'association', or give an association for all"
            )
        load_association(name)
        text = sentence.strip()
        prompts.append(Prompt(id=place, text=text, groups={"association": name}))
    if not prompts:
        raise DataError(f"{use.name} must hold sentences, got none; replace the file")
    return tuple(prompts), use
