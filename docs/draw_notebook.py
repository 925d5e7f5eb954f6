"""Run a notebook of examples/ and keep its figures in it, small and the same wherever they were made.

    python docs/draw_notebook.py examples/results.ipynb

It runs in the working folder, without Jupyter: cells one after another, and of each the figures that it made and the
value of its last line. Neither times nor numbers of runs are kept. A hash of the cells tells if figures are theirs.
"""

import ast
import base64
import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
from matplotlib import pyplot as plt
from nbformat.v4 import new_output

DPI = 80
KEY = "figures_of"  # among the notebook's metadata


def run_notebook(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Run the cells of code of a notebook, and put in what each shows."""
    mpl.use("Agg")
    space: dict[str, Any] = {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            plt.close("all")
            value = _run(cell.source, f"cell {number}", space)
            cell.outputs = [*_texts(value), *(_picture(plt.figure(figure)) for figure in plt.get_fignums())]
            cell.execution_count = None
    notebook.metadata[KEY] = hash_cells(notebook)
    return notebook


def hash_cells(notebook: nbformat.NotebookNode) -> str:
    """Hash what the cells of code say."""
    cells = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(cells.encode()).hexdigest()


def _run(source: str, name: str, space: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), space)
    return eval(compile(ast.Expression(last.value), name, "eval"), space) if isinstance(last, ast.Expr) else None


def _texts(value: Any) -> list[nbformat.NotebookNode]:
    return [] if value is None else [new_output("display_data", data={"text/plain": repr(value)})]


def _picture(figure: plt.Figure) -> nbformat.NotebookNode:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return new_output("display_data", data={"image/png": base64.b64encode(file.getvalue()).decode()})


if __name__ == "__main__":
    path = Path(sys.argv[1])
    nbformat.write(run_notebook(nbformat.read(path, as_version=4)), path)
