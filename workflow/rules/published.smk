# In:  tables of the study.
# Out: what was published beside it, and whether its numbers are those of the paper.


localrules:
    compare_paper,


rule compare_paper:
    input:
        layers=LAYOUT.layers,
        correlations=LAYOUT.table("correlations"),
        controls=LAYOUT.table("network_correlations"),
        networks=LAYOUT.table("network_scores"),
    output:
        LAYOUT.table("published"),
        LAYOUT.table("reproduction"),
        reported_table("published"),
        reported_table("reproduction"),
    log:
        LAYOUT.log("compare_paper"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("compare_paper"),
    params:
        config=LAYOUT.config,
        made_from=made_from("compare_paper"),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise compare-paper --config {params.config:q} --layers {input.layers:q}"
        " --correlations {input.correlations:q} --controls {input.controls:q} --networks {input.networks:q}"
        " --folder {params.folder:q} > {log:q} 2>&1"
