# In:  the layers of each fine-tuned network, gathered as those of any network are (MODEL.finetuned-SPLIT).
# Out: a row for each layer, network and split, where the study asks for it (finetuning.profile).


localrules:
    gather_finetuned_layers,


rule gather_finetuned_layers:
    input:
        layers=[LAYOUT.model_layers(name) for name in study.profiled_networks(STUDY)],
    output:
        table=LAYOUT.finetuned_layers,
        csv=LAYOUT.table("finetuned_layers", "csv"),
    log:
        LAYOUT.log("gather_finetuned_layers"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("gather_finetuned_layers"),
    params:
        config=LAYOUT.config,
        made_from=made_from("gather_finetuned_layers"),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise gather-finetuned-layers --config {params.config:q} --folder {params.folder:q}"
        " --output {output.table:q} --csv {output.csv:q} > {log:q} 2>&1"
