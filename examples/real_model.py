"""The whole job on one model: measure, remove by LFTF with both objectives, measure again, compare.

    python examples/real_model.py MODEL OUT

Fitted on training professions, measured on others. Writes results, edits and a page a method.
"""

import sys
from pathlib import Path

import equipoise as eq
from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.mitigate.lftf import Lftf
from equipoise.report.tables import comparison_table, markdown, measurement_table

HELD_OUT = (GenBias(split_by="profession"), GenHint(variant="hint1572", split_by="profession"))
BENCHMARKS = (*HELD_OUT, "stereoset", "crows_pairs", "perplexity", "facts")
METHODS = {
    "ce_both": Lftf(objective="ce_both"),
    "parity": Lftf(objective="parity"),
    "parity_keep_hints": Lftf(objective="parity", keep_hints=1.0),
}

name, out = sys.argv[1], Path(sys.argv[2])
model = eq.load(name)
before = [eq.measure(model, one) for one in BENCHMARKS]
eq.write_results(out / "base", before)
for one in before:
    print(f"\n## {one.benchmark}\n\n{markdown(measurement_table(one, groups=False))}")
for method, lftf in METHODS.items():
    edit = eq.mitigate(model, lftf)
    edit.save(out / method / "edit")
    with edit.attached(model) as edited:
        after = [eq.measure(edited, one) for one in BENCHMARKS]
    eq.write_results(out / method / "results", after)
    changes = [eq.compare(b, a) for b, a in zip(before, after, strict=True)]
    eq.write_page(out / method / "comparison.html", changes, title=f"{name}, {method}")
    for one in changes:
        print(f"\n## {method}: {one.before.benchmark}\n\n{markdown(comparison_table(one, groups=False))}")
