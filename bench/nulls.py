"""What the nulls of the official files cost, computed anew.

    EQUIPOISE_DATA=DIR python bench/nulls.py [NAME …]

Printed are processor seconds of one thread for the rules that ask no model, with 2,000 draws:
answers, outcomes and intervals, without reading the files. Nothing is taken from the cache folder.
"""

import argparse
import os
import tempfile
import time

from equipoise import plugins
from equipoise.benchmarks.base import Benchmark
from equipoise.measure import choose_examples
from equipoise.null_references import nulls_of

NAMES = ("stereoset", "crows_pairs", "bbq", "hellaswag", "facts")


def main() -> None:
    """Print seconds by benchmark, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", default=NAMES)
    total = 0.0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EQUIPOISE_CACHE"] = folder
        for name in parser.parse_args().names:
            benchmark = plugins.build(Benchmark, name, {})
            examples, requests = choose_examples(benchmark)
            start = time.process_time()
            rules = nulls_of(benchmark, examples, requests, draws=2000, seed=0)
            seconds = time.process_time() - start
            total += seconds
            print(f"{name}: {len(rules)} rules on {len(examples)} examples, {seconds:.1f} s")
    print(f"all: {total:.1f} s")


if __name__ == "__main__":
    main()
