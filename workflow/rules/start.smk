# What is done when a run starts, after its jobs are known and before any runs.
import shutil
from collections import Counter

from layerwise.config import dump_study
from layerwise.files import atomic_path
from layerwise.files.occupied import occupy


def start_run():
    """Refuse a cluster that would take no job, lacking files, and results that another run writes; write the study as it
    was validated, every default filled in."""
    try:
        jobs = list(workflow.dag.needrun_jobs())
        if workflow.executor_plugin.name == "slurm":
            for job in jobs:
                if not job.is_local:
                    REQUESTS.expect(job.rule.name, dict(job.wildcards.items()))
            study.require_cluster(REQUESTS, warn=logger.warning)
            foresee_preemption()
        else:
            study.pass_on_interrupts()
        study.require_there(
            STUDY,
            ({"step": job.rule.name} | dict(job.wildcards.items()) for job in jobs),
        )
        for note in study.find_notes(STUDY):
            logger.warning(f"note: {note}")
        if workflow.execution_settings.lock:  # not with --nolock
            occupy(LAYOUT.folder, logger.warning)
        set_aside_finished(jobs)
        shutil.rmtree(LAYOUT.mistakes, ignore_errors=True)
        logger.addHandler(study.StageLines(study.Stages(count_jobs, logger.info)))
        with atomic_path(LAYOUT.config) as temporary:
            temporary.write_text(
                dump_study(STUDY, Path(LAYOUT.config).parent), encoding="utf-8"
            )
    except (OSError, ValueError) as error:
        told = [f"the run cannot start: {files.explain_denial(error)}", *STRAYS]
        raise WorkflowError("\n".join(told)) from None


def set_aside_finished(jobs):
    """Keep finished splits of jobs that run again, for another split or since something was edited.

    A job trains on those alone that would turn out otherwise. What the user forces is trained.
    """
    asked = workflow.dag_settings
    for job in jobs:
        by_user = not asked.forcerun.isdisjoint({job.rule.name, *job.output})
        if not (by_user or asked.forceall or asked.forcetargets):
            study.set_aside(LAYOUT, job.wildcards.get("model", ""), job.output)


def foresee_preemption():
    """Wait for no job that SLURM takes away for others and does not start again; say so where that may happen."""
    import snakemake_executor_plugin_slurm as plugin

    settings = workflow.executor_settings
    requeue = True if settings.requeue else False if settings.no_requeue else None
    study.end_waiting(plugin, warn=logger.warning)
    if note := study.preemption(REQUESTS.partitions, requeue):
        logger.warning(note)


def count_jobs():
    """The jobs of each rule in this run, those that are done too."""
    needed = workflow.dag.needrun_jobs(exclude_finished=False)
    return Counter(job.rule.name for job in needed)


def start_run_as_module():
    """Start a run as this workflow does by itself; Snakemake calls no `onstart` of a module."""
    if not workflow.modifier.is_main_snakefile():
        own = workflow._onstart
        workflow._onstart = lambda log: (start_run(), own(log))
