# In:  tables.
# Out: figures.


localrules:
    plot_figure2,


rule plot_figure2:
    input:
        layers=LAYOUT.layers,
        correlations=LAYOUT.table("correlations"),
    output:
        LAYOUT.figure("figure2"),
    log:
        LAYOUT.log("plot_figure2"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_figure2"),
    params:
        made_from=made_from("plot_figure2"),
        outputs=shlex.join(f"--output={path}" for path in LAYOUT.figure("figure2")),
        measure=next((entry.measure for entry in STUDY.ratings), ""),
    shell:
        "layerwise plot-figure2 --layers {input.layers:q} --correlations {input.correlations:q}"
        " --measure {params.measure:q} {params.outputs} > {log:q} 2>&1"
