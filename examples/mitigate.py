"""Remove a bias, save the edit, and state what changed on items that nothing was learnt from.

    python examples/mitigate.py [MODEL] [OUT] [DATA] [EPOCHS]

LFTF on the pronouns after professions, measured on other professions and other templates.
Without arguments: a small model with a planted bias (taught at the first use, about a minute).
"""

import sys
from pathlib import Path

import equipoise as eq
from equipoise.benchmarks.genbias import GenBias
from equipoise.mitigate.lftf import Lftf
from equipoise.report.tables import comparison_text
from equipoise.supply.genbias import GenBiasSupply
from equipoise.training.pronoun_training import Parity

name, out, data, epochs, *_ = [*sys.argv[1:], *[""] * 4]
model = eq.load(name or "planted:default")
folder = Path(out or "runs/example-edit")
benchmarks = (GenBias(split_by="both"), "perplexity")

method = Lftf(objective=Parity(), keep_hints=1.0, epochs=int(epochs or 8))
edit = eq.mitigate(model, method, supply=GenBiasSupply(split_by="both"), data=data or None)

before = [eq.measure(model, benchmark, data=data or None) for benchmark in benchmarks]
with edit.attached(model) as fair:  # afterwards every byte of the model is as it was
    after = [eq.measure(fair, benchmark, data=data or None) for benchmark in benchmarks]

comparisons = [eq.compare(first, second) for first, second in zip(before, after, strict=True)]
for comparison in comparisons:
    print(comparison_text(comparison, groups=False), end="\n\n")
edit.save(folder)  # opens as a model: eq.load(folder)
print(eq.write_page(folder / "changes.html", comparisons, title=f"{model.identity}, LFTF"))
