"""PLS of one target, for several splits at once: what streamed and sketched fits have in common."""
