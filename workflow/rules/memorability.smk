# In:  activations, ratings; or, for ratings of many images, pixels and weights: no activations are stored then.
# Out: the consistency of several raters, and one table of scores for each (network, set of ratings, block of layers).

METHODS = {entry.name: study.method_of(STUDY, entry.name) for entry in STUDY.ratings}


rule estimate_consistency:
    input:
        scores=ratings_of,
    output:
        LAYOUT.consistency("{ratings}"),
    log:
        LAYOUT.log("estimate_consistency", "{ratings}"),
    benchmark:
        LAYOUT.benchmark("estimate_consistency", "{ratings}")
    wildcard_constraints:
        ratings=one_of(entry.name for entry in STUDY.ratings if entry.rater_columns),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("estimate_consistency"),
    params:
        config=LAYOUT.config,
        made_from=made_from("estimate_consistency"),
    shell:
        "layerwise estimate-consistency --config {params.config:q} --ratings {wildcards.ratings:q}"
        " --output {output:q} > {log:q} 2>&1"


rule score_memorability:
    input:
        manifest=MANIFEST,
        activations=LAYOUT.activations("{model}", "{ratings}"),
        scores=ratings_of,
    output:
        LAYOUT.memorability("{model}", "{ratings}", "{block}"),
    log:
        LAYOUT.log("score_memorability", "{model}", "{ratings}", "{block}"),
    benchmark:
        LAYOUT.benchmark("score_memorability", "{model}", "{ratings}", "{block}")
    wildcard_constraints:
        ratings=one_of(name for name in METHODS if METHODS[name] == "stored"),
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("score_memorability"),
    params:
        config=LAYOUT.config,
        made_from=made_from("score_memorability"),
        manifest=option("--manifest", MANIFEST),
    shell:
        "layerwise score-memorability --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --ratings {wildcards.ratings:q} --block {wildcards.block:q} {params.manifest}"
        " --activations {input.activations:q} --output {output:q} > {log:q} 2>&1"


# A killed job resumes from its state, which it removes at its end; more memory, of GPUs and of the job,
# makes fewer groups of layers.
rule stream_memorability:
    input:
        gate=GATE,
        manifest=MANIFEST,
        pixels=pixels_of(study.pixels_for),
        weights=weights_of,
        scores=ratings_of,
    output:
        LAYOUT.memorability("{model}", "{ratings}", "{block}"),
    log:
        LAYOUT.log("stream_memorability", "{model}", "{ratings}", "{block}"),
    benchmark:
        LAYOUT.benchmark("stream_memorability", "{model}", "{ratings}", "{block}")
    wildcard_constraints:
        ratings=one_of(name for name in METHODS if METHODS[name] == "streamed"),
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("stream_memorability"),
    params:
        config=LAYOUT.config,
        made_from=made_from("stream_memorability"),
        manifest=option("--manifest", MANIFEST),
        state=LAYOUT.scratch(
            "stream_memorability", "{model}", "{ratings}", "{block}", ending="state"
        ),
    shell:
        "layerwise stream-memorability --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --ratings {wildcards.ratings:q} --block {wildcards.block:q} {params.manifest} --pixels {input.pixels:q}"
        " --state {params.state:q} --output {output:q} > {log:q} 2>&1"


# A killed job resumes from its file of sketches, which it removes at its end; on a GPU they stay in memory.
rule sketch_memorability:
    input:
        gate=GATE,
        manifest=MANIFEST,
        pixels=pixels_of(study.pixels_for),
        weights=weights_of,
        scores=ratings_of,
    output:
        LAYOUT.memorability("{model}", "{ratings}", "{block}"),
    log:
        LAYOUT.log("sketch_memorability", "{model}", "{ratings}", "{block}"),
    benchmark:
        LAYOUT.benchmark("sketch_memorability", "{model}", "{ratings}", "{block}")
    wildcard_constraints:
        ratings=one_of(name for name in METHODS if METHODS[name] == "sketched"),
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("sketch_memorability"),
    params:
        config=LAYOUT.config,
        made_from=made_from("sketch_memorability"),
        manifest=option("--manifest", MANIFEST),
        file=LAYOUT.scratch(
            "sketch_memorability", "{model}", "{ratings}", "{block}", ending="h5"
        ),
    shell:
        "layerwise sketch-memorability --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --ratings {wildcards.ratings:q} --block {wildcards.block:q} {params.manifest} --pixels {input.pixels:q}"
        " --file {params.file:q} --output {output:q} > {log:q} 2>&1"
