# In:  config; images with the tables that name them.
# Out: the study as validated, and one HDF5 file of uint8 pixels for each (stimulus set, geometry).


localrules:
    write_config,


rule write_config:
    output:
        CONFIG,
    log:
        f"{LOGS}/write_config.log",
    conda:
        ENVIRONMENT
    params:
        content=STUDY.model_dump_json(),
    shell:
        "layerwise write-config --content {params.content:q} --output {output} > {log} 2>&1"


rule pack_stimuli:
    input:
        config=ancient(CONFIG),
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
        mem_mb=4000,
        runtime=240,
    params:
        code=code_of("pack_stimuli"),
        settings=stimulus_settings,
        images=image_fingerprint,
    shell:
        "layerwise pack-stimuli --config {input.config} --stimuli {wildcards.stimuli}"
        " --geometry {wildcards.geometry} --output {output} > {log} 2>&1"
