"""Runs images through networks: batches, devices, precision, hooks, CUDA graphs, and what to do without memory."""
