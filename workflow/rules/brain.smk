# In:  activations, recordings.
# Out: ceilings of each region, and one table of scores for each (network, region, block of layers).


rule estimate_ceiling:
    input:
        config=ancient(CONFIG),
        recording=recording_of,
    output:
        f"{RESULTS}/ceilings/{{region}}.parquet",
    log:
        f"{LOGS}/estimate_ceiling/{{region}}.log",
    benchmark:
        f"{LOGS}/estimate_ceiling/{{region}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code_of("estimate_ceiling"),
        settings=ceiling_settings,
    shell:
        "layerwise estimate-ceiling --config {input.config} --region {wildcards.region}"
        " --output {output} > {log} 2>&1"


rule score_brain:
    input:
        config=ancient(CONFIG),
        manifest=manifest_of,
        activations=region_activations,
        recording=recording_of,
    output:
        f"{RESULTS}/models/{{model}}/brain/{{region}}/{{block}}.parquet",
    log:
        f"{LOGS}/score_brain/{{model}}/{{region}}/{{block}}.log",
    benchmark:
        f"{LOGS}/score_brain/{{model}}/{{region}}/{{block}}.tsv"
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        code=code_of("score_brain"),
        settings=region_settings,
    shell:
        "layerwise score-brain --config {input.config} --model {wildcards.model}"
        " --region {wildcards.region} --block {wildcards.block} --manifest {input.manifest}"
        " --activations {input.activations} --output {output} > {log} 2>&1"
