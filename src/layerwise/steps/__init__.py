"""The steps of a study, one file a stage: plain functions that take a study, names and paths, and write files.

The commands of the same names parse what they are given and call them; so does who works in Python. What decides
whether a step's result is stale is declared in ``layerwise.study.staleness``.
"""
