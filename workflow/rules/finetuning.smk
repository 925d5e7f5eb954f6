# In:  pixels of the rated images, larger than the input of networks; weights.
# Out: for each (network, split), the weights of the network that was trained on, its epochs, and what it predicts.

FINETUNED = study.finetuned_models(STUDY)
TRAINED_TABLES = [LAYOUT.finetuned_table] if FINETUNED else []
TRAINED_ON = study.finetuned_ratings(STUDY) if FINETUNED else ""  # a set of ratings

# Of each job the splits: a wildcard, where a job trains on one split.
if STUDY.finetuning is None or STUDY.finetuning.folds_per_job > 1:
    SPLITS = FINETUNING_JOBS
else:
    SPLITS = [["{split}"]]


# One rule for all jobs, or one for each group of splits. A job that is killed or stops in time goes on from its state.
# Nothing that Snakemake compares says how splits are grouped, so that another grouping makes nothing stale: what follows
# from a job's outputs is no parameter to it.
for splits in SPLITS:

    rule:
        name:
            "finetune_network"
            + "".join(f"_{split}" for split in splits if len(SPLITS) > 1)
        input:
            gate=GATE,
            pixels=pixels_of(study.finetuning_pixels_for),
            weights=weights_of,
            scores=lambda wildcards: tables_of(TRAINED_ON),
        output:
            [
                LAYOUT.finetuned("{model}", split, file)
                for split in splits
                for file in study.FINETUNED_FILES
            ],
        log:
            LAYOUT.log("finetune_network", "{model}", "-".join(splits)),
        benchmark:
            LAYOUT.benchmark("finetune_network", "{model}", "-".join(splits))
        wildcard_constraints:
            model=one_of(FINETUNED),
            split=one_of(split for job in FINETUNING_JOBS for split in job),
        conda:
            ENVIRONMENT
        threads: STUDY.compute.threads
        resources:
            **resources_of("finetune_network"),
        params:
            config=LAYOUT.config,
            made_from=made_from("finetune_network", ratings=TRAINED_ON),
            splits=lambda wildcards, output: shlex.join(
                f"--splits={split}" for split in study.splits_of(output)
            ),
            states=LAYOUT.finetuning_states("{model}"),
            folder=LAYOUT.finetuned_folder("{model}"),
        shell:
            "layerwise finetune-network --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
            " {params.splits} --pixels {input.pixels:q} --state-folder {params.states:q}"
            " --output-folder {params.folder:q} > {log:q} 2>&1"
