# In:  pixels of recordings; what networks became that were trained on, with their epochs and predictions.
# Out: scores of their last representation before and after, a row a network and split.


localrules:
    gather_finetuned,
    gather_finetuned_study,


SPLITS_TRAINED = study.finetuned_splits(STUDY)
RECORDED = [entry.name for entry in STUDY.recordings]


# A job a network, since an image takes milliseconds and a start ten seconds. Its activations stay, whatever
# `storage.activations` says: they are a result, and few.
rule score_penultimate:
    input:
        gate=GATE,
        pixels=of_recordings(study.pixels_for),
        pca=of_recordings(study.pca_pixels_for),
        weights=weights_of,
        trained=expand(
            LAYOUT.finetuned("{{model}}", "{split}", study.WEIGHTS),
            split=SPLITS_TRAINED,
        ),
        recordings=lambda wildcards: [
            path for name in RECORDED for path in tables_of(name)
        ],
    output:
        study.penultimate_results(STUDY, LAYOUT, "{model}"),
    log:
        LAYOUT.log("score_penultimate", "{model}"),
    benchmark:
        LAYOUT.benchmark("score_penultimate", "{model}")
    wildcard_constraints:
        model=one_of(FINETUNED),
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("score_penultimate"),
    params:
        config=LAYOUT.config,
        made_from=made_from("score_penultimate"),
        folder=LAYOUT.penultimate_folder("{model}"),
        files=lambda wildcards, input: shlex.join(
            f"--{name}={path}"
            for name, paths in (
                ("weights", input.trained),
                ("pixels", input.pixels),
                ("pca-pixels", input.pca),
            )
            for path in ([paths] if isinstance(paths, str) else paths)
        ),
    shell:
        "layerwise score-penultimate --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " {params.files} --output-folder {params.folder:q} > {log:q} 2>&1"


rule gather_finetuned:
    input:
        trained=expand(
            LAYOUT.finetuned("{{model}}", "{split}", "{file}"),
            split=SPLITS_TRAINED,
            file=(study.HISTORY, study.PREDICTIONS),
        ),
        scores=expand(
            LAYOUT.penultimate_scores("{{model}}", "{weights}"),
            weights=study.penultimate_weights(STUDY),
        ),
        ratings=lambda wildcards: tables_of(TRAINED_ON),
    output:
        LAYOUT.model_finetuned("{model}"),
    log:
        LAYOUT.log("gather_finetuned", "{model}"),
    wildcard_constraints:
        model=one_of(FINETUNED),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("gather_finetuned"),
    params:
        config=LAYOUT.config,
        made_from=made_from("gather_finetuned", ratings=TRAINED_ON),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise gather-finetuned --config {params.config:q} --model {wildcards.model:q}"
        " --folder {params.folder:q} --output {output:q} > {log:q} 2>&1"


rule gather_finetuned_study:
    input:
        expand(LAYOUT.model_finetuned("{model}"), model=FINETUNED),
    output:
        table=LAYOUT.finetuned_table,
        csv=LAYOUT.table("finetuned", "csv"),
    log:
        LAYOUT.log("gather_finetuned_study"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("gather_finetuned_study"),
    params:
        config=LAYOUT.config,
        made_from=made_from("gather_finetuned_study"),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise gather-finetuned-study --config {params.config:q} --folder {params.folder:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"
