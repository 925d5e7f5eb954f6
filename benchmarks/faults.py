"""Damaged, changed and hostile input by the thousand: what came of each kind.

python benchmarks/faults.py [--number 10000] [--seed 1] [--kind KIND ...] [--first 0]

It ends with status 1 if anything is neither read as it is nor refused by name; an input is tried again by its kind,
seed and number: --kind KIND --seed SEED --first INDEX --number 1. With all kinds it writes benchmarks/faults.md.
"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from machine import processor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fixtures"))

from fuzzing.judge import FAULTS, GOOD
from fuzzing.kinds import KINDS, shares
from fuzzing.run import Tried, run


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="repeat for more; default: all")
    return parser.parse_args()


def text(counts: dict[str, Counter[str]], seed: int, seconds: float) -> str:
    outcomes = [
        outcome for outcome in GOOD + FAULTS if outcome in GOOD or any(count[outcome] for count in counts.values())
    ]
    total = sum(sum(count.values()) for count in counts.values())
    faults = sum(count[outcome] for count in counts.values() for outcome in FAULTS)
    lines = [
        "# What comes of damaged, changed and hostile input",
        "",
        (
            f"`python benchmarks/faults.py --number {total} --seed {seed}` on {processor()}: {total:,} inputs in "
            f"{seconds:.0f} s, {faults} faults. Faults are: {', '.join(FAULTS)}. Content is other where a person's "
            "file was changed into one that is right as well; for tables and split files it is then compared with what "
            "a plain reader gives. A rare damage changes nothing that is read, such as a date in an archive."
        ),
        "",
        f"| kind | {' | '.join([*outcomes, 'faults'])} |",
        f"|---|{'---|' * (len(outcomes) + 1)}",
    ]
    for kind, count in counts.items():
        cells = [*(count[outcome] for outcome in outcomes), sum(count[outcome] for outcome in FAULTS)]
        lines.append(f"| {kind} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def show(tried: Tried) -> None:
    print(f"{tried.kind} {tried.index}: {tried.outcome.upper()}: {tried.story}\n    {tried.message}", flush=True)


def main() -> int:
    given, start = arguments(), time.perf_counter()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for tried in run(shares(given.number, tuple(given.kind or ())), given.seed, given.first):
        if tried.kind not in counts:
            print(f"{tried.kind}, after {time.perf_counter() - start:.0f} s", flush=True)
        counts[tried.kind][tried.outcome] += 1
        if tried.outcome in FAULTS or given.number == 1:
            show(tried)
    written = text(counts, given.seed, time.perf_counter() - start)
    print(written)
    if not given.kind and not given.first:
        Path(__file__).with_suffix(".md").write_text(written)
    return any(count[outcome] for count in counts.values() for outcome in FAULTS)


if __name__ == "__main__":
    sys.exit(main())
