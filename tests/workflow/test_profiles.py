"""Layers of fine-tuned networks in the workflow: jobs as those of any own network, and none where nothing is asked."""

TRAINED = {"models": ["tiny"], "splits": [1, 3], "batch_size": 8, "max_epochs": 1}


def test_each_split_of_a_network_is_profiled_where_the_study_asks_for_it(study):
    study.configure(finetuning=TRAINED | {"profile": True})
    planned = study.planned()
    assert (planned["finetune_network"], planned["gather_finetuned_layers"]) == (2, 1)
    assert planned["list_layers"] == 3 and planned["gather_model"] == 4  # tiny, tiny's two splits; and untrained
    alone = study.planned("results/small/models/tiny.finetuned-3/layers.parquet")
    assert (alone["list_layers"], alone["gather_model"]) == (1, 1)  # the rest is known once its layers are listed


def test_without_a_profile_networks_are_trained_and_no_layer_of_them_is_scored(study):
    study.configure(finetuning=TRAINED)
    planned = study.planned()
    assert planned["finetune_network"] == 2 and planned["list_layers"] == 1 and planned["gather_model"] == 2
    assert "gather_finetuned_layers" not in planned
