# In:  a row a layer of all networks; a row for each fine-tuned network and split.
# Out: correlations over layers with intervals, and what else is said of them; what fine-tuning changes.


localrules:
    correlate_layers,
    analyse_layers,
    compare_finetuning,


rule correlate_layers:
    input:
        layers=LAYOUT.layers,
        drawn=study.drawn_scores(STUDY, LAYOUT),
    output:
        table=LAYOUT.table("correlations"),
        csv=reported_table("correlations"),
    log:
        LAYOUT.log("correlate_layers"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("correlate_layers"),
    params:
        config=LAYOUT.config,
        made_from=made_from("correlate_layers"),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise correlate-layers --config {params.config:q} --layers {input.layers:q}"
        " --folder {params.folder:q} --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"


rule analyse_layers:
    input:
        layers=LAYOUT.layers,
    output:
        LAYOUT.analyses(),
    log:
        LAYOUT.log("analyse_layers"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("analyse_layers"),
    params:
        config=LAYOUT.config,
        made_from=made_from("analyse_layers"),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise analyse-layers --config {params.config:q} --layers {input.layers:q}"
        " --folder {params.folder:q} > {log:q} 2>&1"


rule compare_finetuning:
    input:
        finetuned=LAYOUT.finetuned_table,
    output:
        LAYOUT.analyses(study.FINETUNING_ANALYSES),
    log:
        LAYOUT.log("compare_finetuning"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("compare_finetuning"),
    params:
        config=LAYOUT.config,
        made_from=made_from("compare_finetuning"),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise compare-finetuning --config {params.config:q} --finetuned {input.finetuned:q}"
        " --folder {params.folder:q} > {log:q} 2>&1"
