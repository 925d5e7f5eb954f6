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
        **resources_of("estimate_ceiling"),
    params:
        config=LAYOUT.config,
        made_from=made_from("estimate_ceiling"),
    shell:
        "layerwise estimate-ceiling --config {params.config:q} --region {wildcards.region:q}"
        " --output {output:q} > {log:q} 2>&1"


rule score_brain:
    input:
        manifest=MANIFEST,
        activations=activations_of,
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
        **resources_of("score_brain"),
    params:
        config=LAYOUT.config,
        made_from=made_from("score_brain"),
        manifest=option("--manifest", MANIFEST),
    shell:
        "layerwise score-brain --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --region {wildcards.region:q} --block {wildcards.block:q} {params.manifest}"
        " --activations {input.activations:q} --output {output:q} > {log:q} 2>&1"
