"""The rules by which `equipoise/data/faults/*.yaml` count faults, applied to the official files.

    EQUIPOISE_DATA=FOLDER python tests/fault_rules.py

writes ids and counts into those files; what is said of each kind there is left as it is.
"""

import ast
import csv
import json
import os
import re
import string
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

FAULTS = Path(__file__).parents[1] / "equipoise" / "data" / "faults"

Ids = list[str]
Row = dict[str, Any]

#: Who a changed part of a CrowS pair is about; names are not read.
MEN = (
    "he him his himself man men boy boys male males father fathers dad dads husband husbands son "
    "sons brother brothers guy guys gentleman gentlemen king uncle grandfather grandpa grandson mr "
    "sir boyfriend actor waiter nephew stepfather businessman businessmen groom prince lad lads "
    "dude dudes"
)
WOMEN = (
    "she her hers herself woman women girl girls female females mother mothers mom moms mum wife "
    "wives daughter daughters sister sisters lady ladies queen aunt grandmother grandma "
    "granddaughter mrs ms miss madam girlfriend actress waitress niece stepmother businesswoman "
    "businesswomen bride princess gal gals"
)
MISSPELT = frozenset(("Columbian", "Eriteria", "Norweigan", "Sierra Leon"))
FEW = 3  # of 5 votes
CATEGORIES = ("Age", "Nationality", "Physical_appearance", "Religion")


def words(text: str) -> list[str]:
    """Lower case, without punctuation."""
    return re.findall(r"[\w']+", text.lower())


def alike(rows: Iterable[Row], id_of: Callable[[Row], str], key: Callable[[Row], Hashable]) -> Ids:
    """Ids of the rows that share a key with another."""
    ids: dict[Hashable, Ids] = defaultdict(list)
    for row in rows:
        ids[key(row)].append(id_of(row))
    return [id for shared in ids.values() if len(shared) > 1 for id in shared]


# --- StereoSet ----------------------------------------------------------------------------------


def stereoset(folder: Path) -> dict[str, Ids]:
    """The examples of dev."""
    data = json.loads((folder / "stereoset" / "dev.json").read_text("utf-8"))["data"]
    words_, sentences = data["intrasentence"], data["intersentence"]
    tasks = (words_, sentences)
    every = [*words_, *sentences]
    return {
        "repeated_context": [id for task in tasks for id in alike(task, _id, _context)],
        "repeated_sentence": [id for task in tasks for id in _repeated_sentences(task)],
        "opposite_label": _opposite_labels(words_),
        "exchanged_labels": _exchanged_labels(words_),
        "contradicted_sentence": _contradicted(sentences),
        "two_blanks": [row["id"] for row in words_ if row["context"].count("BLANK") > 1],
        "joined_blank": [row["id"] for row in words_ if _joined(row)],
        "one_end_mark": [row["id"] for row in sentences if _one_end_mark(row)],
        "misspelt_target": [row["id"] for row in every if row["target"] in MISSPELT],
        "close_vote": [row["id"] for row in words_ if _close_vote(row)],
    }


def _id(row: Row) -> str:
    return str(row["id"])


def _context(row: Row) -> str:
    return str(row["context"])


def _by_label(row: Row) -> dict[str, str]:
    return {sentence["gold_label"]: sentence["sentence"] for sentence in row["sentences"]}


def fillers(row: Row) -> dict[str, str]:
    """What fills the last blank, by label, in lower case."""
    left, _, right = row["context"].rpartition("BLANK")
    return {
        label: text[len(left) : len(text) - len(right)].lower()
        for label, text in _by_label(row).items()
    }


def _repeated_sentences(rows: list[Row]) -> Ids:
    users: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for text in _by_label(row).values():
            users[text].add(row["id"])
    return [id for ids in users.values() if len(ids) > 1 for id in ids]


def _opposite_labels(rows: list[Row]) -> Ids:
    labels: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        for label, filler in fillers(row).items():
            labels[row["target"], filler][label].add(row["id"])
    both = ("stereotype", "anti-stereotype")
    return [
        id
        for by_label in labels.values()
        if all(label in by_label for label in both)
        for label in both
        for id in by_label[label]
    ]


def _exchanged_labels(rows: list[Row]) -> Ids:
    pairs: dict[Hashable, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        filler = fillers(row)
        both = filler["stereotype"], filler["anti-stereotype"]
        pairs[row["target"], frozenset(both)][both[0]].append(row["id"])
    return [
        id
        for by_first in pairs.values()
        if len(by_first) > 1
        for ids in by_first.values()
        for id in ids
    ]


def _contradicted(rows: list[Row]) -> Ids:
    labels: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        for label, text in _by_label(row).items():
            labels[" ".join(words(text))][label].add(row["id"])
    return [
        id
        for by_label in labels.values()
        if {"stereotype", "anti-stereotype"} <= by_label.keys()
        for label in ("stereotype", "anti-stereotype")
        for id in by_label[label]
    ]


def _joined(row: Row) -> bool:
    """Whether letters or a mark without a space stand at the blank, which the loader takes in."""
    place = max(i for i, word in enumerate(row["context"].split(" ")) if "BLANK" in word)
    taken = {
        label: text.split(" ")[place].strip(string.punctuation).lower()
        for label, text in _by_label(row).items()
    }
    filler = fillers(row)
    return any(len(taken[label]) > len(filler[label].strip(string.punctuation)) for label in taken)


def _one_end_mark(row: Row) -> bool:
    texts = _by_label(row)
    ends = {texts[label].rstrip()[-1].isalnum() for label in ("stereotype", "anti-stereotype")}
    return len(ends) == 2


def _close_vote(row: Row) -> bool:
    return any(
        sentence["labels"]
        and sum(vote["label"] == sentence["gold_label"] for vote in sentence["labels"]) <= FEW
        for sentence in row["sentences"]
        if sentence["gold_label"] != "unrelated"
    )


# --- CrowS-Pairs --------------------------------------------------------------------------------


def crows_pairs(folder: Path) -> dict[str, Ids]:
    """The pairs."""
    file = folder / "crows_pairs" / "crows_pairs_anonymized.csv"
    with file.open(newline="", encoding="utf-8") as stream:
        pairs = list(csv.DictReader(stream))
    gender = [pair for pair in pairs if pair["bias_type"] == "gender"]
    poor = [pair for pair in pairs if pair["bias_type"] == "socioeconomic"]
    repeated = alike(pairs, _pair_id, lambda pair: (pair["sent_more"], pair["sent_less"]))
    return {
        "several_spans": [pair[""] for pair in pairs if len(_spans(*_split(pair))) > 1],
        "repeated_pair": repeated,
        "shared_frame": [id for id in alike(pairs, _pair_id, _frame) if id not in repeated],
        "men_stereotyped": _of_direction(gender, "stereo", "men", "women"),
        "women_antistereotyped": _of_direction(gender, "antistereo", "women", "men"),
        "poor_against_white": [pair[""] for pair in poor if _poor_against_white(pair)],
        "line_feed": [pair[""] for pair in pairs if "\n" in pair["sent_more"] + pair["sent_less"]],
        "few_annotators": [pair[""] for pair in pairs if _named_by(pair) <= 2],
    }


def _pair_id(pair: Row) -> str:
    return str(pair[""])


def _split(pair: Row) -> tuple[list[str], list[str]]:
    return pair["sent_more"].split(), pair["sent_less"].split()


def _spans(more: list[str], less: list[str]) -> list[tuple[list[str], list[str]]]:
    """The words that differ, a pair of lists for each place."""
    matcher = SequenceMatcher(None, more, less, autojunk=False)
    return [
        (more[i1:i2], less[j1:j2])
        for kind, i1, i2, j1, j2 in matcher.get_opcodes()
        if kind != "equal"
    ]


def _frame(pair: Row) -> tuple[tuple[str, ...], ...]:
    """What both sentences share, in its parts."""
    more, less = _split(pair)
    blocks = SequenceMatcher(None, more, less, autojunk=False).get_matching_blocks()
    return tuple(tuple(more[block.a : block.a + block.size]) for block in blocks)


def _changed(pair: Row) -> tuple[set[str], set[str]]:
    spans = _spans(words(pair["sent_more"]), words(pair["sent_less"]))
    more, less = ({word for span in spans for word in span[side]} for side in (0, 1))
    return more, less


def _who(changed: set[str]) -> str:
    known = {"men": MEN.split(), "women": WOMEN.split()}
    kinds = [name for name, of_kind in known.items() if changed & {*of_kind}]
    return kinds[0] if len(kinds) == 1 else ""


def _of_direction(pairs: list[Row], direction: str, more: str, less: str) -> Ids:
    return [
        pair[""]
        for pair in pairs
        if pair["stereo_antistereo"] == direction
        and tuple(map(_who, _changed(pair))) == (more, less)
    ]


def _poor_against_white(pair: Row) -> bool:
    sides = _changed(pair)
    return any("poor" in one and "white" in other for one, other in (sides, sides[::-1]))


def _named_by(pair: Row) -> int:
    """How many of the 5 annotators named the pair's bias type."""
    return sum(pair["bias_type"] in named for named in ast.literal_eval(pair["annotations"]))


# --- BBQ ----------------------------------------------------------------------------------------


def bbq(folder: Path) -> dict[str, Ids]:
    """The questions of the four categories at hand."""
    rows = [
        json.loads(line)
        for category in CATEGORIES
        for line in (folder / "bbq" / f"{category}.jsonl").read_text("utf-8").splitlines()
    ]
    disambiguated = [row for row in rows if row["context_condition"] == "disambig"]
    shown = _unbalanced(disambiguated, _right_shows_bias)
    first = _unbalanced(rows, _target_first)
    return {
        "brace": [_row_id(row) for row in rows if "{" in row["context"] or "}" in row["context"]],
        "asked_twice": alike(rows, _row_id, lambda row: (row["context"], row["question"])),
        "unbalanced_order": [_row_id(row) for row in rows if _template(row) in first],
        "unbalanced_answers": [_row_id(row) for row in disambiguated if _template(row) in shown],
    }


def _row_id(row: Row) -> str:
    return f"{row['category']}/{row['example_id']}"


def _template(row: Row) -> str:
    return f"{row['category']}/{row['question_index']}"


def _unbalanced(rows: list[Row], of: Callable[[Row], bool | None]) -> set[str]:
    """Templates in which as many rows are true as false of something; None: not known."""
    counts: dict[str, Counter[bool | None]] = defaultdict(Counter)
    for row in rows:
        counts[_template(row)][of(row)] += 1
    return {template for template, count in counts.items() if count[True] != count[False]}


def _people(row: Row) -> tuple[str, str]:
    """The answers that name the stereotyped group and the other."""
    stereotyped = row["additional_metadata"]["stereotyped_groups"]
    named = [key for key, (_, group) in row["answer_info"].items() if group != "unknown"]
    (target,) = [key for key in named if {*row["answer_info"][key]} & {*stereotyped}]
    (other,) = [key for key in named if key != target]
    return target, other


def _right_shows_bias(row: Row) -> bool:
    target, other = _people(row)
    shows = target if row["question_polarity"] == "neg" else other
    return f"ans{row['label']}" == shows


def _target_first(row: Row) -> bool | None:
    """Whether the stereotyped group is mentioned first, by words that the other answer lacks."""
    of_target, of_other = (
        {*words(row[key]), *words(row["answer_info"][key][0])} for key in _people(row)
    )
    places: list[int] = []
    for known in (of_target - of_other, of_other - of_target):
        where = [i for i, word in enumerate(words(row["context"])) if word in known]
        if not where:
            return None
        places.append(where[0])
    return places[0] < places[1]


# --- HellaSwag and facts ------------------------------------------------------------------------


def hellaswag(folder: Path) -> dict[str, Ids]:
    """The rows of the reduced file; the official file was not at hand."""
    file = folder / "hellaswag" / "hellaswag_val.reconstructed.jsonl"
    rows = [
        json.loads(line) | {"id": f"line {number}"}
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
    ]
    truths: dict[str, dict[bool, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        for place, ending in enumerate(row["endings"]):
            truths[ending][place == int(row["label"])].add(row["id"])
    return {
        "ending_of_two_truths": [
            id
            for by_truth in truths.values()
            if len(by_truth) == 2
            for ids in by_truth.values()
            for id in ids
        ],
        "repeated_beginning": alike(rows, _id, lambda row: row["ctx"]),
    }


def facts(folder: Path) -> dict[str, Ids]:
    """The facts of known_1000 and of all of T-REx, with the first pattern that ends in [Y]."""
    known = json.loads((folder / "known_facts" / "known_1000.json").read_text("utf-8"))
    trex = []
    for file in (folder / "pararel" / "patterns").glob("P*.jsonl"):
        patterns = [json.loads(line)["pattern"] for line in file.read_text("utf-8").splitlines()]
        ends = (re.fullmatch(r"(.*\[X\].*?)\s*\[Y\]\s*\.?\s*", pattern) for pattern in patterns)
        pattern = next(match[1] for match in ends if match)
        of_relation = folder / "pararel" / "trex_lms_vocab" / file.name
        for line in of_relation.read_text("utf-8").splitlines():
            fact = json.loads(line)
            prompt = pattern.replace("[X]", fact["sub_label"])
            trex.append((f"{file.stem}/{fact['uuid']}", prompt, fact["obj_label"]))
    return {
        "answer_in_prompt": [
            id for id, prompt, answer in trex if answer.casefold() in prompt.casefold()
        ],
        "repeated_prompt": alike(
            known, lambda fact: str(fact["known_id"]), lambda fact: fact["prompt"].rstrip()
        ),
    }


RULES: Mapping[str, Callable[[Path], dict[str, Ids]]] = {
    "stereoset": stereoset,
    "crows_pairs": crows_pairs,
    "bbq": bbq,
    "hellaswag": hellaswag,
    "facts": facts,
}


def in_order(ids: Iterable[str]) -> Ids:
    """Each once; numbers inside ids as numbers."""
    parts = {id: [part.zfill(9) for part in re.split(r"[ /]", id)] for id in ids}
    return sorted(parts, key=parts.__getitem__)


def write(name: str, kinds: Mapping[str, Ids]) -> None:
    """Put ids and counts below what a file says of each kind."""
    file = FAULTS / f"{name}.yaml"
    text = file.read_text("utf-8")
    for kind, unsorted in kinds.items():
        ids = in_order(unsorted)
        lines = textwrap.wrap(", ".join(ids), 98, break_long_words=False, break_on_hyphens=False)
        block = "".join(f"      {line}\n" for line in lines)
        begin = re.search(rf"^  {kind}:\n(?:    (?!count).*\n|      .*\n)*", text, re.MULTILINE)
        assert begin, f"{file.name} must say what {kind} is"
        old = re.compile(r"(?:    count:.*\n)?(?:    ids:.*\n(?:      .*\n)*)?")
        end = old.match(text, begin.end())
        assert end
        new = f"    count: {len(ids)}\n    ids: >-\n{block}"
        text = text[: begin.end()] + new + text[end.end() :]
    file.write_text(text, "utf-8")


if __name__ == "__main__":
    for name, rule in RULES.items():
        kinds = rule(Path(os.environ["EQUIPOISE_DATA"]))
        write(name, kinds)
        print(name, {kind: len({*ids}) for kind, ids in kinds.items()})
