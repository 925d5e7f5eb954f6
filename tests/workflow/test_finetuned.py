"""What Snakemake plans of fine-tuned networks: all of it, one split of one network, or nothing."""

import pytest

pytestmark = pytest.mark.workflow
FINETUNING = {"models": ["tiny"], "splits": [1, 3], "max_epochs": 1, "batch_size": 4}
AFTER = {
    "score_penultimate": 1,  # before, and after each split
    "gather_finetuned": 1,
    "gather_finetuned_study": 1,
    "plot_figure3": 1,
    "plot_change": 1,
    "plot_history": 1,
}


def test_all_one_split_or_nothing(study):
    results = "results/small/models/tiny"
    study.configure(finetuning=FINETUNING)
    planned = study.planned()
    assert {rule: planned.get(rule) for rule in AFTER} == AFTER
    one = study.planned(f"{results}/finetuned/3/weights.safetensors")
    assert one == {"pack_stimuli": 1, "finetune_network": 1}
    scores = study.planned(f"{results}/penultimate/3/scores.parquet")
    assert scores == {"pack_stimuli": 2, "finetune_network": 2, "score_penultimate": 1}
    study.configure(finetuning=FINETUNING, recordings=[])
    planned = study.planned()
    assert set(AFTER) & set(planned) == {"gather_finetuned", "gather_finetuned_study", "plot_history"}
    study.configure(finetuning=None)
    assert not set(AFTER) & set(study.planned())
