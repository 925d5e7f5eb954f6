# In:  activations, ratings.
# Out: one table of scores for each (network, set of ratings, block of layers).


rule score_memorability:
    input:
        manifest=manifest_of,
        activations=f"{RESULTS}/models/{{model}}/activations/{{ratings}}.h5",
        scores=score_files,
    output:
        f"{RESULTS}/models/{{model}}/memorability/{{ratings}}/{{block}}.parquet",
    log:
        f"{LOGS}/score_memorability/{{model}}/{{ratings}}/{{block}}.log",
    benchmark:
        f"{LOGS}/score_memorability/{{model}}/{{ratings}}/{{block}}.tsv"
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        config=CONFIG,
        code=code_of("score_memorability"),
        manifest=manifest_option,
        layers=layers_hash,
        settings=rating_settings,
    shell:
        "layerwise score-memorability --threads {threads} --config {params.config} --model {wildcards.model}"
        " --ratings {wildcards.ratings} --block {wildcards.block} {params.manifest}"
        " --activations {input.activations} --output {output} > {log} 2>&1"
