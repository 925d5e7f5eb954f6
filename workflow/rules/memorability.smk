# In:  activations, ratings; or, for ratings of many images, pixels and weights: no activations are stored then.
# Out: the consistency of several raters, and one table of scores for each (network, set of ratings, block of layers).


rule estimate_consistency:
    input:
        scores=score_files,
    output:
        f"{RESULTS}/consistency/{{ratings}}.parquet",
    log:
        f"{LOGS}/estimate_consistency/{{ratings}}.log",
    benchmark:
        f"{LOGS}/estimate_consistency/{{ratings}}.tsv"
    wildcard_constraints:
        ratings=one_of(RATED),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("estimate_consistency"),
    params:
        config=CONFIG,
        code=code_of("estimate_consistency"),
        scores=score_contents,
        settings=consistency_settings,
    shell:
        "layerwise estimate-consistency --config {params.config:q} --ratings {wildcards.ratings:q}"
        " --output {output:q} > {log:q} 2>&1"


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
    wildcard_constraints:
        ratings=rated_in_way("stored"),
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("score_memorability"),
    params:
        config=CONFIG,
        code=code_of("score_memorability"),
        scores=score_contents,
        manifest=manifest_option,
        layers=layers_hash,
        settings=rating_settings,
    shell:
        "layerwise score-memorability --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --ratings {wildcards.ratings:q} --block {wildcards.block:q} {params.manifest}"
        " --activations {input.activations:q} --output {output:q} > {log:q} 2>&1"


# A killed job goes on from its state, which it removes at its end; more memory, of GPUs and of the job,
# makes fewer groups of layers.
rule stream_memorability:
    input:
        gate=gate_of,
        manifest=manifest_of,
        pixels=rated_pixels,
        weights=weights_of,
        scores=score_files,
    output:
        f"{RESULTS}/models/{{model}}/memorability/{{ratings}}/{{block}}.parquet",
    log:
        f"{LOGS}/stream_memorability/{{model}}/{{ratings}}/{{block}}.log",
    benchmark:
        f"{LOGS}/stream_memorability/{{model}}/{{ratings}}/{{block}}.tsv"
    wildcard_constraints:
        ratings=rated_in_way("streamed"),
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("stream_memorability"),
    params:
        config=CONFIG,
        code=code_of("stream_memorability"),
        scores=score_contents,
        manifest=manifest_option,
        layers=layers_hash,
        network=model_settings,
        weights=weights_content,
        settings=streamed_settings,
        state=f"{LOGS}/stream_memorability/{{model}}/{{ratings}}/{{block}}.state",
    shell:
        "layerwise stream-memorability --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --ratings {wildcards.ratings:q} --block {wildcards.block:q} {params.manifest} --pixels {input.pixels:q}"
        " --state {params.state:q} --output {output:q} > {log:q} 2>&1"


# A killed job goes on from its file of sketches, which it removes at its end; on a GPU they stay in memory.
rule sketch_memorability:
    input:
        gate=gate_of,
        manifest=manifest_of,
        pixels=rated_pixels,
        weights=weights_of,
        scores=score_files,
    output:
        f"{RESULTS}/models/{{model}}/memorability/{{ratings}}/{{block}}.parquet",
    log:
        f"{LOGS}/sketch_memorability/{{model}}/{{ratings}}/{{block}}.log",
    benchmark:
        f"{LOGS}/sketch_memorability/{{model}}/{{ratings}}/{{block}}.tsv"
    wildcard_constraints:
        ratings=rated_in_way("sketched"),
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("sketch_memorability"),
    params:
        config=CONFIG,
        code=code_of("sketch_memorability"),
        scores=score_contents,
        manifest=manifest_option,
        layers=layers_hash,
        network=model_settings,
        weights=weights_content,
        settings=sketch_settings,
        file=f"{LOGS}/sketch_memorability/{{model}}/{{ratings}}/{{block}}.h5",
    shell:
        "layerwise sketch-memorability --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --ratings {wildcards.ratings:q} --block {wildcards.block:q} {params.manifest} --pixels {input.pixels:q}"
        " --file {params.file:q} --output {output:q} > {log:q} 2>&1"
