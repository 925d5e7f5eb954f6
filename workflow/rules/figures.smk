# In:  tables.
# Out: figures.


localrules:
    plot_figure2,
    plot_figure4,
    plot_figure_s1,
    plot_profiles,
    plot_regions,
    plot_forest,


rule plot_figure2:
    input:
        layers=LAYOUT.layers,
        correlations=LAYOUT.table("correlations"),
        networks=LAYOUT.table("networks"),
        parts=LAYOUT.table("within_between"),
    output:
        reported_figure("figure2"),
    log:
        LAYOUT.log("plot_figure2"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_figure2"),
    params:
        made_from=made_from("plot_figure2"),
        outputs=outputs_of("figure2"),
        measure=next((entry.measure for entry in STUDY.ratings), ""),
        regions=shlex.join(f"--region={name}" for name in study.main_columns(STUDY)),
    shell:
        "layerwise plot-figure2 --layers {input.layers:q} --correlations {input.correlations:q}"
        " {params.regions} --measure {params.measure:q} --networks {input.networks:q} --parts {input.parts:q}"
        " {params.outputs} > {log:q} 2>&1"


rule plot_figure4:
    input:
        networks=LAYOUT.table("network_scores"),
        controls=LAYOUT.table("network_correlations"),
    output:
        reported_figure("figure4"),
    log:
        LAYOUT.log("plot_figure4"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_figure4"),
    params:
        made_from=made_from("plot_figure4"),
        outputs=outputs_of("figure4"),
        region=study.main_region(study.main_columns(STUDY)),
    shell:
        "layerwise plot-figure4 --networks {input.networks:q} --controls {input.controls:q}"
        " --region {params.region:q} {params.outputs} > {log:q} 2>&1"


rule plot_figure_s1:
    input:
        networks=LAYOUT.table("network_scores"),
        controls=LAYOUT.table("network_correlations"),
    output:
        reported_figure("figureS1"),
    log:
        LAYOUT.log("plot_figure_s1"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_figure_s1"),
    params:
        made_from=made_from("plot_figure_s1"),
        outputs=outputs_of("figureS1"),
        measure=next((entry.measure for entry in STUDY.ratings), ""),
    shell:
        "layerwise plot-figure-s1 --networks {input.networks:q} --controls {input.controls:q}"
        " --measure {params.measure:q} {params.outputs} > {log:q} 2>&1"


rule plot_profiles:
    input:
        layers=LAYOUT.layers,
        networks=LAYOUT.table("networks"),
    output:
        reported_figure("profiles"),
    log:
        LAYOUT.log("plot_profiles"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_profiles"),
    params:
        made_from=made_from("plot_profiles"),
        outputs=outputs_of("profiles"),
        scores=columns_of(STUDY),
    shell:
        "layerwise plot-profiles --layers {input.layers:q} --networks {input.networks:q} {params.scores} {params.outputs} > {log:q} 2>&1"


rule plot_regions:
    input:
        agreement=LAYOUT.table("regions"),
    output:
        reported_figure("regions"),
    log:
        LAYOUT.log("plot_regions"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_regions"),
    params:
        made_from=made_from("plot_regions"),
        outputs=outputs_of("regions"),
    shell:
        "layerwise plot-regions --agreement {input.agreement:q} {params.outputs} > {log:q} 2>&1"


rule plot_forest:
    input:
        networks=LAYOUT.table("per_network"),
        correlations=LAYOUT.table("correlations"),
    output:
        reported_figure("forest"),
    log:
        LAYOUT.log("plot_forest"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("plot_forest"),
    params:
        made_from=made_from("plot_forest"),
        outputs=outputs_of("forest"),
        region=study.main_region(study.main_columns(STUDY)),
        measure=next((entry.measure for entry in STUDY.ratings), ""),
    shell:
        "layerwise plot-forest --networks {input.networks:q} --correlations {input.correlations:q}"
        " --region {params.region:q} --measure {params.measure:q} {params.outputs} > {log:q} 2>&1"
