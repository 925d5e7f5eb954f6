"""The command line: one thin command for each step, under the same names as the workflow's rules."""

from layerwise.cli.app import main

__all__ = ["main"]
