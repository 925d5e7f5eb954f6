"""What results say of their error is what the benchmark wrote."""

import json

from layerwise.sketching import measured
from layerwise.sketching.measured import RECORD, measured_error


def test_the_error_is_told_for_the_dimensions_that_were_measured(monkeypatch, tmp_path):
    found = {"weights": "imagenet", "images": 9, "layers": 3, "median": 0.02, "largest": 0.3}
    (tmp_path / "measured.json").write_text(json.dumps({"dimensions": 64, "networks": {"net": found}}))
    monkeypatch.setattr(measured, "RECORD", tmp_path / "measured.json")
    assert measured_error(64) == (
        "net (imagenet weights, 9 images, 3 layers): |rho - exact rho| median 2.0e-02, largest 3.0e-01"
    )
    assert measured_error(128) == "not measured at 128 dimensions"


def test_three_networks_were_measured_at_the_default():
    networks = json.loads(RECORD.read_text())["networks"]
    assert len(networks) >= 3
    assert all(name in measured_error(4096) for name in networks)
    assert all(0 <= found["median"] <= found["largest"] < 1 for found in networks.values())
