"""The whole job on one model: measure, remove by LFTF in four ways, measure again, compare.

    python examples/real_model.py MODEL OUT

Fitted on training professions, measured on others. Keeps results, edits and a page a method in
OUT, and prints the table of docs/real-model.md.
"""

import sys
from pathlib import Path

import equipoise as eq
from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.locate.fixed_block import FixedBlock
from equipoise.mitigate.lftf import Lftf
from equipoise.number_text import interval
from equipoise.report.tables import Table, markdown, measurement_table
from equipoise.training.pronoun_losses import Parity

HELD_OUT = (GenBias(split_by="profession"), GenHint(variant="hint1572", split_by="profession"))
BENCHMARKS = (*HELD_OUT, "stereoset", "crows_pairs", "perplexity", "facts")
METHODS = {
    "ce_both": Lftf(),
    "ce_both, last block": Lftf(locator=FixedBlock(block=-1)),
    "parity": Lftf(objective=Parity(), keep_hints=1.0),
    "parity, last block": Lftf(objective=Parity(), keep_hints=1.0, locator=FixedBlock(block=-1)),
}

model, out = eq.load(sys.argv[1]), Path(sys.argv[2])
before = [eq.measure(model, one) for one in BENCHMARKS]
eq.write_results(out / "base", before)
print("\n\n".join(markdown(measurement_table(one)) for one in before))
rows = {
    (one.benchmark, e.metric): [f"{one.benchmark} {e.metric}", interval(e.value, e.low, e.high)]
    for one in before
    for e in one.estimates
    if not e.group
}
for name, method in METHODS.items():
    folder = out / name.replace(", ", "-").replace(" ", "-")
    edit = eq.mitigate(model, method)
    edit.save(folder / "edit")
    with edit.attached(model) as edited:
        after = [eq.measure(edited, one) for one in BENCHMARKS]
    eq.write_results(folder / "results", after)
    changes = [eq.compare(b, a) for b, a in zip(before, after, strict=True)]
    eq.write_page(folder / "comparison.html", changes, title=f"{model.identity}, {name}")
    for comparison in changes:
        for one in (change for change in comparison.changes if not change.group):
            text = f"{interval(one.after, one.after_low, one.after_high)} *{one.direction}*"
            rows[comparison.before.benchmark, one.metric].append(text)
header = ("metric", "before", *METHODS)
print("\n" + markdown(Table(header=header, rows=tuple(tuple(row) for row in rows.values()))))
