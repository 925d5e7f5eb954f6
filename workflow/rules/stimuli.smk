# In:  images, with the tables that name them.
# Out: one HDF5 file of uint8 pixels for each (stimulus set, geometry).


rule pack_stimuli:
    input:
        descriptions=description_files,
    output:
        f"{RESULTS}/stimuli/{{stimuli}}/{{geometry}}.h5",
    log:
        f"{LOGS}/pack_stimuli/{{stimuli}}/{{geometry}}.log",
    benchmark:
        f"{LOGS}/pack_stimuli/{{stimuli}}/{{geometry}}.tsv"
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("pack_stimuli"),
    params:
        config=CONFIG,
        code=code_of("pack_stimuli"),
        descriptions=description_contents,
        settings=stimulus_settings,
        images=image_fingerprint,
    shell:
        "layerwise pack-stimuli --threads {threads} --config {params.config:q} --stimuli {wildcards.stimuli:q}"
        " --geometry {wildcards.geometry:q} --output {output:q} > {log:q} 2>&1"
