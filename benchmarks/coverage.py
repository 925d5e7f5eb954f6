"""Do 95 % intervals hold the truth in 95 % of studies? python benchmarks/coverage.py [--studies 400] [--draws 1000]

Simulates studies of the paper's shape in five scenarios (tests/fixtures/nested_studies.py), and counts how often each
interval holds the value over very many networks, and how often each test finds what is not there. It prints the tables
and, with 400 studies or more, writes coverage.md beside this file.
"""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from machine import processor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fixtures"))

from nested_studies import SCENARIOS, paper_sizes, true_rho, try_study

ENOUGH = 400


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=ENOUGH, help="of each scenario")
    parser.add_argument("--draws", type=int, default=1000, help="samples of networks, and permutations, of each study")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def count(name: str, studies: int, draws: int, seed: int, pool: ProcessPoolExecutor) -> tuple[dict, Counter]:
    sizes, scenario = paper_sizes(), SCENARIOS[name]
    truth = pool.submit(true_rho, scenario, sizes, seed).result()
    one = partial(try_study, scenario, sizes, truth, draws)
    total: Counter[str] = Counter()
    for held in pool.map(one, range(seed * 10**6, seed * 10**6 + studies), chunksize=8):
        total.update({key: int(value) for key, value in held.items()})
    return truth, total


def table(head: str, counts: dict[str, Counter], keys: list[str], studies: int) -> list[str]:
    lines = [f"| {head} | {' | '.join(counts)} |", f"|---|{'---:|' * len(counts)}"]
    for key in keys:
        cells = [f"{100 * total[key] / studies:.1f}" for total in counts.values()]
        lines.append(f"| {key.partition(': ')[2]} | {' | '.join(cells)} |")
    return lines


def text(truths: dict, counts: dict[str, Counter], given: argparse.Namespace, seconds: float) -> str:
    keys = list(counts["null"])
    covers = [key for key in keys if key.startswith("covers")]
    finds = [key for key in keys if key.startswith("finds")]
    sizes = paper_sizes()
    margin = 196 * (0.95 * 0.05 / given.studies) ** 0.5
    planted = "; ".join(
        f"{name}: " + ", ".join(f"{part} {value:.3f}" for part, value in truth.items())
        for name, truth in truths.items()
    )
    return "\n".join(
        [
            "# How often intervals over layers hold the truth",
            "",
            (
                f"`python benchmarks/coverage.py --studies {given.studies} --draws {given.draws} --seed {given.seed}` "
                f"on {processor()}, {len(os.sched_getaffinity(0))} cores: {seconds / 60:.0f} min. Each study has "
                f"{len(sizes)} networks and {sizes.sum():,} layers. Spearman's rho over very many networks: {planted}."
            ),
            "",
            (
                f"Per cent of {given.studies} studies whose 95 % interval holds that value. Of an exact interval, "
                f"{95 - margin:.1f} to {min(100, 95 + margin):.1f} would be seen."
            ),
            "",
            *table("interval", counts, covers, given.studies),
            "",
            (
                "Per cent of studies in which a test finds something (p < 0.05). Both regions correlate alike with the "
                "measure, so that a difference is false wherever it is found; a correlation is false in the first "
                "column, and the power of the test in the others."
            ),
            "",
            *table("test", counts, finds, given.studies),
            "",
        ]
    )


def main() -> None:
    given, start = arguments(), time.time()
    truths, counts = {}, {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for name in SCENARIOS:
            truths[name], counts[name] = count(name, given.studies, given.draws, given.seed, pool)
            print(f"{name}: {time.time() - start:.0f} s", file=sys.stderr, flush=True)
    written = text(truths, counts, given, time.time() - start)
    print(written)
    if given.studies >= ENOUGH:
        Path(__file__).with_suffix(".md").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
