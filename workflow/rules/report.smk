# In:  tables of the study.
# Out: the page on which it is explored.


localrules:
    make_report,


rule make_report:
    input:
        study.described_tables(STUDY, LAYOUT),
    output:
        LAYOUT.report,
    log:
        LAYOUT.log("make_report"),
    conda:
        ENVIRONMENT
    resources:
        **resources_of("make_report"),
    params:
        made_from=made_from("make_report"),
        folder=lambda wildcards: LAYOUT.folder,
    shell:
        "layerwise make-report --folder {params.folder:q} --output {output:q} > {log:q} 2>&1"
