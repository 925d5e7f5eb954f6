"""A thousand inputs that are damaged, changed, hostile, or short of disk or memory, drawn from one seed.

benchmarks/faults.py tries ten thousand, of any seed; an input that fails here is tried again by its kind and number.
"""

from collections import Counter, defaultdict

import pytest
from fuzzing.judge import EQUAL, FAULTS, MEMORY, REFUSED
from fuzzing.kinds import KINDS, shares
from fuzzing.ours import KINDS as OURS
from fuzzing.run import run

NUMBER, SEED = 1000, 1


@pytest.fixture(scope="module")
def tried():
    found = defaultdict(list)
    for one in run(shares(NUMBER), SEED):
        found[one.kind].append(one)
    return found


def test_a_thousand_are_tried(tried):
    assert sum(map(len, tried.values())) == NUMBER


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_input_is_read_as_it_is_or_refused_by_name(tried, kind):
    assert [one for one in tried[kind] if one.outcome in FAULTS] == []


@pytest.mark.parametrize("kind", list(OURS))
def test_most_damage_of_our_files_is_found_and_none_changes_what_is_read(tried, kind):
    counts = Counter(one.outcome for one in tried[kind])
    assert set(counts) <= {EQUAL, REFUSED}
    if kind not in ("pixels of a killed run", "hashes of inputs"):  # these are begun anew
        assert counts[REFUSED] > len(tried[kind]) / 3


def test_memory_is_told_of_only_where_it_is_short(tried):
    assert {kind for kind, all_of_it in tried.items() if any(one.outcome == MEMORY for one in all_of_it)} <= {
        "short memory"
    }
