# In:  names of Brain-Score's recordings.
# Out: the files of recordings that the config names, and their images.
# Beside this file, also where another workflow uses this one as a module; a workflow that Snakemake fetches from a host
# of repositories has no folder, and then the environment is looked for where Snakemake runs.
HERE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).resolve()
TOP = HERE.parents[1] if HERE.is_dir() else Path.cwd()
SCRIPT = "../scripts/export_brainscore.py"
EXPORT = Path(
    HERE / SCRIPT if HERE.is_dir() else workflow.source_path(SCRIPT)
).resolve()
BRAINSCORE = TOP / ".venv-brainscore" / "bin" / "python"
FILES = {str(entry.file): entry for entry in STUDY.recordings if entry.brainscore}
if FILES and DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    study.keep_lock("brainscore", workflow.source_path("../../envs/brainscore.lock"))


# One rule a file, since each lies where the config says. They run here, as compute nodes may have no network.
for path, entry in FILES.items():

    rule:
        name:
            f"export_recordings_{entry.name}"
        output:
            path,
        log:
            LAYOUT.log("export_recordings", entry.name),
        localrule: True
        conda:
            "../../envs/brainscore.yaml"
        resources:
            **resources_of("export_recordings"),
        params:
            # With --software-deployment-method conda, `python` is that environment's.
            python=BRAINSCORE if BRAINSCORE.is_file() else "python",
            script=str(EXPORT),
            code=files.hash_script(EXPORT),
            identifier=entry.brainscore,
            images=entry.images,
        shell:
            "{params.python:q} {params.script:q} {params.identifier:q} --output {output:q} --images {params.images:q}"
            " > {log:q} 2>&1"
