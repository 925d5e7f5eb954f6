# In:  scores of all blocks.
# Out: a row a layer for each network, then for the study; correlations over layers; the best layers.


localrules:
    gather_model,
    gather_study,
    correlate_layers,
    summarise_models,


rule gather_model:
    input:
        manifest=manifest_of,
        brain=brain_files,
        memorability=memorability_files,
        ceilings=expand(f"{RESULTS}/ceilings/{{region}}.parquet", region=REGIONS),
        consistencies=expand(
            f"{RESULTS}/consistency/{{ratings}}.parquet", ratings=RATED
        ),
    output:
        f"{RESULTS}/models/{{model}}/layers.parquet",
    log:
        f"{LOGS}/gather_model/{{model}}.log",
    conda:
        ENVIRONMENT
    resources:
        **resources_of("gather_model"),
    params:
        config=CONFIG,
        code=code_of("gather_model"),
        manifest=manifest_option,
        layers=layers_hash,
        folder=subpath(output[0], ancestor=3),
    shell:
        "layerwise gather-model --config {params.config:q} --model {wildcards.model:q}"
        " {params.manifest} --folder {params.folder:q} --output {output:q} > {log:q} 2>&1"


rule gather_study:
    input:
        layers=expand(f"{RESULTS}/models/{{model}}/layers.parquet", model=MODELS),
    output:
        table=f"{RESULTS}/layers.parquet",
        csv=f"{RESULTS}/tables/layers.csv",
    log:
        f"{LOGS}/gather_study.log",
    conda:
        ENVIRONMENT
    resources:
        **resources_of("gather_study"),
    params:
        config=CONFIG,
        code=code_of("gather_study"),
        folder=subpath(output.table, parent=True),
    shell:
        "layerwise gather-study --config {params.config:q} --folder {params.folder:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"


rule correlate_layers:
    input:
        layers=f"{RESULTS}/layers.parquet",
    output:
        table=f"{RESULTS}/tables/correlations.parquet",
        csv=f"{RESULTS}/tables/correlations.csv",
    log:
        f"{LOGS}/correlate_layers.log",
    conda:
        ENVIRONMENT
    resources:
        **resources_of("correlate_layers"),
    params:
        config=CONFIG,
        code=code_of("correlate_layers"),
    shell:
        "layerwise correlate-layers --config {params.config:q} --layers {input.layers:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"


rule summarise_models:
    input:
        layers=f"{RESULTS}/layers.parquet",
    output:
        table=f"{RESULTS}/tables/models.parquet",
        csv=f"{RESULTS}/tables/models.csv",
    log:
        f"{LOGS}/summarise_models.log",
    conda:
        ENVIRONMENT
    resources:
        **resources_of("summarise_models"),
    params:
        config=CONFIG,
        code=code_of("summarise_models"),
    shell:
        "layerwise summarise-models --config {params.config:q} --layers {input.layers:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"
