# In:  what became of networks that were trained on, and their epochs.
# Out: figure 3, the change of brain similarity, and a figure of the epochs of each network.


localrules:
    plot_figure3,
    plot_change,
    plot_history,


rule plot_figure3:
    input:
        LAYOUT.finetuned_table,
    output:
        reported_figure("figure3"),
    log:
        LAYOUT.log("plot_figure3"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_figure3"),
    params:
        config=LAYOUT.config,
        made_from=made_from("plot_figure3"),
        outputs=outputs_of("figure3"),
        region=study.main_region(REGIONS),
        measure=next(
            (entry.measure for entry in STUDY.ratings if entry.name == TRAINED_ON), ""
        ),
    shell:
        "layerwise plot-figure3 --config {params.config:q} --finetuned {input:q} --region {params.region:q} --measure {params.measure:q}"
        " {params.outputs} > {log:q} 2>&1"


rule plot_change:
    input:
        LAYOUT.finetuned_table,
    output:
        reported_figure("figure3_change"),
    log:
        LAYOUT.log("plot_change"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_change"),
    params:
        config=LAYOUT.config,
        made_from=made_from("plot_change"),
        outputs=outputs_of("figure3_change"),
        regions=shlex.join(f"--region={name}" for name in REGIONS),
    shell:
        "layerwise plot-change --config {params.config:q} --finetuned {input:q} {params.regions} {params.outputs} > {log:q} 2>&1"


rule plot_history:
    input:
        expand(
            LAYOUT.finetuned("{{model}}", "{split}", study.HISTORY),
            split=study.finetuned_splits(STUDY),
        ),
    output:
        LAYOUT.history_figure("{model}"),
    log:
        LAYOUT.log("plot_history", "{model}"),
    wildcard_constraints:
        model=one_of(FINETUNED),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_history"),
    params:
        made_from=made_from("plot_history"),
        histories=lambda wildcards, input: shlex.join(
            f"--history={path}" for path in input
        ),
        outputs=lambda wildcards, output: shlex.join(
            f"--output={path}" for path in output
        ),
    shell:
        "layerwise plot-history {params.histories} {params.outputs} > {log:q} 2>&1"
