# In:  activations, recordings.
# Out: ceilings of each region, and one table of scores for each (network, region, block of layers).


rule estimate_ceiling:
    input:
        recording=recording_of,
    output:
        LAYOUT.ceiling("{region}"),
    log:
        LAYOUT.log("estimate_ceiling", "{region}"),
    benchmark:
        LAYOUT.benchmark("estimate_ceiling", "{region}")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=LAYOUT.config,
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
        LAYOUT.brain("{model}", "{region}", "{block}"),
    log:
        LAYOUT.log("score_brain", "{model}", "{region}", "{block}"),
    benchmark:
        LAYOUT.benchmark("score_brain", "{model}", "{region}", "{block}")
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        mem_mb=8000,
        runtime=240,
        gpu=min(1, STUDY.compute.gpus),
    params:
        config=LAYOUT.config,
        code=code_of("score_brain"),
        recording=recording_content,
        manifest=manifest_option,
        layers=layers_hash,
        settings=region_settings,
    shell:
        "layerwise score-brain --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --region {wildcards.region:q} --block {wildcards.block:q} {params.manifest}"
        " --activations {input.activations:q} --output {output:q} > {log:q} 2>&1"
