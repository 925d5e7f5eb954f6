# In:  pixels, weights; ImageNet's validation images where the accuracy gate is closed.
# Out: the layers of own networks, proofs of accuracy, and one HDF5 file of activations for each (network, stimulus set).


checkpoint list_layers:
    output:
        manifest=f"{RESULTS}/models/{{model}}/manifest.tsv",
        skipped=f"{RESULTS}/models/{{model}}/skipped.tsv",
        preprocessing=f"{RESULTS}/models/{{model}}/preprocessing.json",
    log:
        f"{LOGS}/list_layers/{{model}}.log",
    benchmark:
        f"{LOGS}/list_layers/{{model}}.tsv"
    wildcard_constraints:
        model=one_of(OWN_MODELS),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("list_layers"),
    params:
        config=CONFIG,
        code=code_of("list_layers"),
        settings=model_settings,
    shell:
        "layerwise list-layers --config {params.config:q} --model {wildcards.model:q}"
        " --manifest {output.manifest:q} --skipped {output.skipped:q} --preprocessing {output.preprocessing:q}"
        " > {log:q} 2>&1"


rule check_accuracy:
    input:
        weights=weights_of,
    output:
        f"{RESULTS}/models/{{model}}/accuracy.json",
    log:
        f"{LOGS}/check_accuracy/{{model}}.log",
    benchmark:
        f"{LOGS}/check_accuracy/{{model}}.tsv"
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("check_accuracy"),
    params:
        config=CONFIG,
        code=code_of("check_accuracy"),
        settings=model_settings,
        weights=weights_content,
        imagenet=imagenet_settings,
    shell:
        "layerwise check-accuracy --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " --output {output:q} > {log:q} 2>&1"


rule extract_activations:
    input:
        gate=gate_of,
        manifest=manifest_of,
        pixels=pixels_of,
        pca=pca_pixels_of,
        weights=weights_of,
    output:
        keep_or_not(f"{RESULTS}/models/{{model}}/activations/{{stimuli}}.h5"),
    log:
        f"{LOGS}/extract_activations/{{model}}/{{stimuli}}.log",
    benchmark:
        f"{LOGS}/extract_activations/{{model}}/{{stimuli}}.tsv"
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("extract_activations"),
    params:
        config=CONFIG,
        code=code_of("extract_activations"),
        manifest=manifest_option,
        layers=layers_hash,
        pca=pca_option,
        settings=model_settings,
        weights=weights_content,
    shell:
        "layerwise extract-activations --threads {threads} --config {params.config:q} --model {wildcards.model:q}"
        " {params.manifest} --pixels {input.pixels:q} {params.pca} --output {output:q} > {log:q} 2>&1"
