# In:  activations, recordings.
# Out: ceilings of each region, and one table of scores for each (network, region, block of layers).


rule estimate_ceiling:
    input:
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
        **resources_of("estimate_ceiling"),
    params:
        config=CONFIG,
        code=code_of("estimate_ceiling"),
        recording=recording_content,
        settings=ceiling_settings,
    shell:
        "layerwise estimate-ceiling --config {params.config:q} --region {wildcards.region:q}"
        " --output {output:q} > {log:q} 2>&1"


rule score_brain:
    input:
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
        **resources_of("score_brain"),
    params:
        config=CONFIG,
        code=code_of("score_brain"),
        recording=recording_content,
        manifest=manifest_option,
        layers=layers_hash,
        settings=region_settings,
    shell:
        "layerwise score-brain --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --region {wildcards.region:q} --block {wildcards.block:q} {params.manifest}"
        " --activations {input.activations:q} --output {output:q} > {log:q} 2>&1"
