# In:  scores of all blocks.
# Out: a row a layer for each network, then for the study; the best layers.


localrules:
    gather_model,
    gather_study,
    summarise_models,


rule gather_model:
    input:
        manifest=MANIFEST,
        brain=scores_of(study.brain_scores),
        memorability=scores_of(study.rating_scores),
        ceilings=expand(LAYOUT.ceiling("{region}"), region=REGIONS),
        consistencies=lambda wildcards: [
            LAYOUT.consistency(entry.name)
            for entry in study.scored_ratings(STUDY, wildcards.model)
            if entry.rater_columns
        ],
    output:
        layers=LAYOUT.model_layers("{model}"),
        drawn=LAYOUT.drawn("{model}") if STUDY.statistics.neuroids else [],
    log:
        LAYOUT.log("gather_model", "{model}"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("gather_model"),
    params:
        config=LAYOUT.config,
        made_from=made_from("gather_model"),
        manifest=option("--manifest", MANIFEST),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise gather-model --config {params.config:q} --model {wildcards.model:q}"
        " {params.manifest} --folder {params.folder:q} --output {output.layers:q} > {log:q} 2>&1"


rule gather_study:
    input:
        layers=[LAYOUT.model_layers(entry.name) for entry in STUDY.models],
    output:
        table=LAYOUT.layers,
        csv=LAYOUT.table("layers", "csv"),
    log:
        LAYOUT.log("gather_study"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("gather_study"),
    params:
        config=LAYOUT.config,
        made_from=made_from("gather_study"),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise gather-study --config {params.config:q} --folder {params.folder:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"


rule summarise_models:
    input:
        layers=LAYOUT.layers,
    output:
        table=LAYOUT.table("models"),
        csv=reported_table("models"),
    log:
        LAYOUT.log("summarise_models"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("summarise_models"),
    params:
        config=LAYOUT.config,
        made_from=made_from("summarise_models"),
    shell:
        "layerwise summarise-models --config {params.config:q} --layers {input.layers:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"
