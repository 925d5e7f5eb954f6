# In:  the layers of all networks, and fine-tuned networks where there are some.
# Out: tables of networks and of what agrees over layers; the dictionary of all tables.


localrules:
    tabulate_networks,
    score_networks,
    correlate_regions,
    describe_tables,


rule tabulate_networks:
    input:
        layers=LAYOUT.layers,
    output:
        table=LAYOUT.table("networks"),
        csv=reported_table("networks"),
    log:
        LAYOUT.log("tabulate_networks"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("tabulate_networks"),
    params:
        config=LAYOUT.config,
        made_from=made_from("tabulate_networks"),
    shell:
        "layerwise tabulate-networks --config {params.config:q} --layers {input.layers:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"


rule score_networks:
    input:
        layers=LAYOUT.layers,
        networks=LAYOUT.table("networks"),
        finetuned=TRAINED_TABLES,
    output:
        LAYOUT.table("network_scores"),
        LAYOUT.table("network_correlations"),
        reported_table("network_scores"),
        reported_table("network_correlations"),
    log:
        LAYOUT.log("score_networks"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("score_networks"),
    params:
        config=LAYOUT.config,
        made_from=made_from("score_networks"),
        folder=lambda wildcards: LAYOUT.folder,
        finetuned=shlex.join(f"--finetuned={path}" for path in TRAINED_TABLES),
    shell:
        "layerwise score-networks --config {params.config:q} --layers {input.layers:q} --networks {input.networks:q}"
        " {params.finetuned} --folder {params.folder:q} > {log:q} 2>&1"


rule correlate_regions:
    input:
        layers=LAYOUT.layers,
    output:
        table=LAYOUT.table("regions"),
        csv=reported_table("regions"),
    log:
        LAYOUT.log("correlate_regions"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("correlate_regions"),
    params:
        config=LAYOUT.config,
        made_from=made_from("correlate_regions"),
    shell:
        "layerwise correlate-regions --config {params.config:q} --layers {input.layers:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"


rule describe_tables:
    input:
        study.described_tables(STUDY, LAYOUT),
    output:
        LAYOUT.table("dictionary", "csv"),
    log:
        LAYOUT.log("describe_tables"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("describe_tables"),
    params:
        made_from=made_from("describe_tables"),
        tables=lambda wildcards, input: shlex.join(f"--table={path}" for path in input),
    shell:
        "layerwise describe-tables {params.tables} --output {output:q} > {log:q} 2>&1"
