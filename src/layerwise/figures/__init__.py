"""One file for each figure: tables in, a matplotlib figure out."""
