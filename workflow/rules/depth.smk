# In:  layers.
# Out: the figure of scores over depth: what a study draws that has recordings alone, or ratings alone.


localrules:
    plot_depth,


rule plot_depth:
    input:
        layers=LAYOUT.layers,
        networks=LAYOUT.table("networks"),
    output:
        reported_figure("depth"),
    log:
        LAYOUT.log("plot_depth"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_depth"),
    params:
        made_from=made_from("plot_depth"),
        outputs=outputs_of("depth"),
        scores=columns_of(STUDY),
    shell:
        "layerwise plot-depth --layers {input.layers:q} --networks {input.networks:q} {params.scores} {params.outputs} > {log:q} 2>&1"
