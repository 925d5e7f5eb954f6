# In:  names of Brain-Score's recordings.
# Out: the files of recordings that the config names, and their images.
from os.path import normpath

# Beside this file, also where another workflow uses this one as a module.
EXPORT = normpath(workflow.source_path("../scripts/export_brainscore.py"))
BRAINSCORE = Path(EXPORT).parents[2] / ".venv-brainscore" / "bin" / "python"
FILES = {str(entry.file): entry for entry in STUDY.recordings if entry.brainscore}


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
            script=EXPORT,
            code=hash_script(Path(EXPORT)),
            identifier=entry.brainscore,
            images=entry.images,
        shell:
            "{params.python:q} {params.script:q} {params.identifier:q} --output {output:q} --images {params.images:q}"
            " > {log:q} 2>&1"
