"""Variables by which the workflow tells a step in what job of a cluster it runs."""

# Who calls a step in a job of their own would not want all of it to start again: the workflow alone sets this.
REQUEUE = "LAYERWISE_REQUEUE"  # "1": the step is the whole job, and may have SLURM start it again
ATTEMPT = "LAYERWISE_ATTEMPT"  # which attempt at the job this is, from 1
MISTAKES = "LAYERWISE_MISTAKES"  # folder in which a failed attempt leaves what it said
