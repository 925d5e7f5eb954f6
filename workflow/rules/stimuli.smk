# In:  images, with the tables that name them.
# Out: one HDF5 file of uint8 pixels for each (stimulus set, geometry).


rule pack_stimuli:
    input:
        descriptions=tables_of_images,
    output:
        LAYOUT.pixels("{stimuli}", "{geometry}"),
    log:
        LAYOUT.log("pack_stimuli", "{stimuli}", "{geometry}"),
    benchmark:
        LAYOUT.benchmark("pack_stimuli", "{stimuli}", "{geometry}")
    conda:
        ENVIRONMENT
    threads: STUDY.compute.threads
    resources:
        **resources_of("pack_stimuli"),
    params:
        config=LAYOUT.config,
        made_from=made_from("pack_stimuli"),
    shell:
        "layerwise pack-stimuli --threads {threads} --config {params.config:q} --stimuli {wildcards.stimuli:q}"
        " --geometry {wildcards.geometry:q} --output {output:q} > {log:q} 2>&1"
