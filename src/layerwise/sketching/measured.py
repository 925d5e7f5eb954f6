"""How far the quick mode was found from the exact one: `benchmarks/sketch_accuracy.py` measures it."""

import json
from pathlib import Path

RECORD = Path(__file__).with_name("measured.json")


def measured_error(dimensions: int) -> str:
    """Describe how much rho differed from the exact one, and where that was measured.

    Parameters
    ----------
    dimensions : int
        Numbers in a sketch.

    Returns
    -------
    str
        Median and largest |difference| over the layers of each network, or that none was measured.
    """
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    if record["dimensions"] != dimensions or not record["networks"]:
        return f"not measured at {dimensions} dimensions"
    return "; ".join(
        f"{name} ({found['weights']} weights, {found['images']} images, {found['layers']} layers): |rho - exact rho| "
        f"median {found['median']:.1e}, largest {found['largest']:.1e}"
        for name, found in record["networks"].items()
    )
