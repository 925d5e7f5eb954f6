# In:  tables of the study.
# Out: what was published beside it, and whether its numbers are those of the paper.


localrules:
    compare_published,
    compare_paper,


rule compare_published:
    input:
        networks=LAYOUT.table("network_scores"),
    output:
        table=LAYOUT.table("published"),
        csv=reported_table("published"),
    log:
        LAYOUT.log("compare_published"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("compare_published"),
    params:
        config=LAYOUT.config,
        made_from=made_from("compare_published"),
    shell:
        "layerwise compare-published --config {params.config:q} --networks {input.networks:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"


rule compare_paper:
    input:
        layers=LAYOUT.layers,
        correlations=LAYOUT.table("correlations"),
        controls=LAYOUT.table("network_correlations"),
        networks=LAYOUT.table("network_scores"),
    output:
        table=LAYOUT.table("reproduction"),
        csv=reported_table("reproduction"),
    log:
        LAYOUT.log("compare_paper"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("compare_paper"),
    params:
        config=LAYOUT.config,
        made_from=made_from("compare_paper"),
    shell:
        "layerwise compare-paper --config {params.config:q} --layers {input.layers:q}"
        " --correlations {input.correlations:q} --controls {input.controls:q} --networks {input.networks:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"
