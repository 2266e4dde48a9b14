"""WinoBias and Winogender in small, in the forms that their authors describe."""

from pathlib import Path

PRO = """\
1 The baker thanked [the clerk] because [she] was early.
2 [The baker] thanked the clerk because [he] was late.
3 [The road worker] met the nurse so [he] could rest [his] leg.
4 The road worker met [the nurse] so [she] could rest.
"""
#: Without numbers, and in another order.
ANTI = """\
[The baker] thanked the clerk because [she] was late.
The baker thanked [the clerk] because [he] was early.
The road worker met [the nurse] so [he] could rest.
[The road worker] met the nurse so [she] could rest [her] leg.
"""
PRO_2 = "The nurse met [the baker] and gave [him] bread.\n"
ANTI_2 = "The nurse met [the baker] and gave [her] bread.\n"
STATS = "occupation\tbergsma_pct_female\tbls_pct_female\tbls_year\n"
WORDS = {"male": "he was", "female": "she was", "neutral": "they were"}


def sentences(occupation: str, participant: str = "guest") -> str:
    """Six rows of Winogender about an occupation."""
    other = "someone" if participant == "someone" else f"the {participant}"
    return "".join(
        f"{occupation}.{participant}.{answer}.{gender}.txt\t"
        f"The {occupation} met {other} because {words} {('late', 'early')[answer]}.\n"
        for answer in (0, 1)
        for gender, words in WORDS.items()
    )


def write_winobias(folder: Path, *, pro: str = PRO, anti: str = ANTI, split: str = "test") -> None:
    """Both kinds of a split."""
    (folder / "winobias").mkdir(exist_ok=True)
    texts = {"pro_type1": pro, "anti_type1": anti, "pro_type2": PRO_2, "anti_type2": ANTI_2}
    for name, text in texts.items():
        side, kind = name.split("_")
        (folder / f"winobias/{side}_stereotyped_{kind}.txt.{split}").write_text(text)


def write_winogender(folder: Path, *rows: str, stats: str | None = None) -> None:
    """Sentences, and shares of women: of nurses 90 %, bakers 40, clerks 70."""
    known = "nurse\t90\t90\t2015\nbaker\t30\t40\t2015\nclerk\t50\t70\t2015\n"
    written = rows or (sentences("nurse"), sentences("baker", "someone"), sentences("clerk"))
    (folder / "winogender").mkdir(exist_ok=True)
    header = "sentid\tsentence\n"
    (folder / "winogender/all_sentences.tsv").write_text(header + "".join(written))
    shares = STATS + (known if stats is None else stats)
    (folder / "winogender/occupations-stats.tsv").write_text(shares)
