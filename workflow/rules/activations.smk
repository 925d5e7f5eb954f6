# In:  pixels, weights; ImageNet's validation images where the accuracy gate is closed.
# Out: the layers of own networks, proofs of accuracy, and one HDF5 file of activations for each (network, stimulus set).


checkpoint list_layers:
    output:
        manifest=LAYOUT.manifest("{model}"),
        skipped=LAYOUT.skipped("{model}"),
        preprocessing=LAYOUT.preprocessing("{model}"),
    log:
        LAYOUT.log("list_layers", "{model}"),
    benchmark:
        LAYOUT.benchmark("list_layers", "{model}")
    wildcard_constraints:
        model=one_of(OWN_MODELS),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("list_layers"),
    params:
        config=LAYOUT.config,
        made_from=made_from("list_layers"),
    shell:
        "layerwise list-layers --config {params.config:q} --model {wildcards.model:q}"
        " --manifest {output.manifest:q} --skipped {output.skipped:q} --preprocessing {output.preprocessing:q}"
        " > {log:q} 2>&1"


rule check_accuracy:
    input:
        weights=weights_of,
    output:
        LAYOUT.accuracy("{model}"),
    log:
        LAYOUT.log("check_accuracy", "{model}"),
    benchmark:
        LAYOUT.benchmark("check_accuracy", "{model}")
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("check_accuracy"),
    params:
        config=LAYOUT.config,
        made_from=made_from("check_accuracy"),
    shell:
        "layerwise check-accuracy --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --output {output:q} > {log:q} 2>&1"


rule extract_activations:
    input:
        gate=GATE,
        manifest=MANIFEST,
        pixels=pixels_of(study.pixels_for),
        pca=PCA_PIXELS,
        weights=weights_of,
    output:
        KEPT(LAYOUT.activations("{model}", "{stimuli}")),
    log:
        LAYOUT.log("extract_activations", "{model}", "{stimuli}"),
    benchmark:
        LAYOUT.benchmark("extract_activations", "{model}", "{stimuli}")
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("extract_activations"),
    params:
        config=LAYOUT.config,
        made_from=made_from("extract_activations"),
        manifest=option("--manifest", MANIFEST),
        pca=option("--pca-pixels", PCA_PIXELS),
    shell:
        "layerwise extract-activations --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " {params.manifest} --pixels {input.pixels:q} {params.pca} --output {output:q} > {log:q} 2>&1"
