"""Measure the bias of a model: each number with its interval, its sample size and its ideal.

    python examples/measure.py [MODEL] [DATA] [LIMIT]

MODEL: a Hub id, a folder, an edit. DATA: a folder of benchmark files, or planted:NAME. LIMIT: so
many examples. Without arguments: a small model that was taught a bias of known size (taught at the
first use, about a minute).
"""

import sys

import equipoise as eq
from equipoise.report.tables import measurement_text

name, data, limit, *_ = [*sys.argv[1:], *[""] * 3]
model = eq.load(name or "planted:default")
for benchmark in ("genbias", "genhint", "stereoset", "perplexity"):
    measurement = eq.measure(
        model, benchmark, data=data or None, limit=int(limit) if limit else None
    )
    print(measurement_text(measurement, groups=False), end="\n\n")

frame = measurement.to_frame()  # a pandas data frame: a row for each estimate, of groups too
print(frame[["metric", "value", "low", "high", "n"]].to_string(index=False))
