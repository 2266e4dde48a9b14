"""What target exchange costs beside the plain measurement, both in one run.

    EQUIPOISE_DATA=DIR python bench/exchange.py [--model FOLDER] [--items 300] [--others 4]

Measured are whole measurements, with reading, bootstrap and notes, in turn within each round;
printed are medians over rounds of processor seconds, and of the same less what does not depend on
the model: the requests alone put to it. Of the copies the two compared texts are asked, not the
unrelated one.
"""

import argparse
import statistics
import time

from equipoise.benchmarks.stereoset import StereoSet
from equipoise.inference.scorer import answer
from equipoise.loading.load import load
from equipoise.measure import choose_examples, measure


def main() -> None:
    """Print processor seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--others", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    model = load(arguments.model)
    benchmarks = {"plain": StereoSet(), "exchanged": StereoSet(exchange=arguments.others)}
    whole: dict[str, list[float]] = {name: [] for name in benchmarks}
    asked: dict[str, list[float]] = {name: [] for name in benchmarks}
    texts = {}
    for _ in range(arguments.rounds):
        for name, benchmark in benchmarks.items():
            start = time.process_time()
            measure(model, benchmark, limit=arguments.items)
            whole[name].append(time.process_time() - start)
            _, requests = choose_examples(benchmark, limit=arguments.items)
            flat = [request for of_item in requests for request in of_item]
            texts[name] = len(flat)
            start = time.process_time()
            answer(model, flat, seed=0)
            asked[name].append(time.process_time() - start)
    for what, seconds in (("measure", whole), ("requests alone", asked)):
        plain, exchanged = (statistics.median(seconds[name]) for name in benchmarks)
        print(
            f"{what}: plain {plain:.1f} s, with {arguments.others} others {exchanged:.1f} s, "
            f"ratio {exchanged / plain:.2f}"
        )
    print(f"texts: {texts['plain']} and {texts['exchanged']}")


if __name__ == "__main__":
    main()
