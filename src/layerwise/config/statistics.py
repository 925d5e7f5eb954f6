"""The section ``statistics``: intervals and tests over layers."""

from typing import Literal

from pydantic import Field

from layerwise.config.base import MOST, Name, Section, Seed


class StatisticsSettings(Section):
    """How certain a correlation over layers is, layers of a network not being independent of each other."""

    level: float = Field(0.95, ge=0.5, le=0.999)
    """Of intervals: the share of studies in which one should hold the true value."""
    interval: Literal["jackknife", "percentile"] = "jackknife"
    """The interval that figures show. `jackknife`: Fisher's z, its error from leaving out each network, t with as many
    degrees of freedom as networks are worth, given how many layers each has. `percentile`: the middle of the
    correlation in samples of whole networks, drawn with replacement, as much of it as that t asks for. Tables have
    both."""
    cluster: Literal["network", "family"] = "network"
    """What counts as independent: each network, or each family of networks (VGG, ResNet ...)."""
    families: dict[Name, Name] = Field(default_factory=dict)
    """Families of networks of your own, `network: family`; those that layerwise knows have one, others are a family by
    themselves."""
    draws: int = Field(2000, ge=100, le=MOST)
    """Samples of networks, and permutations; 100 or more."""
    neuroids: int | None = Field(None, ge=50, le=10_000)
    """Samples of neuroids, 50 or more, drawn with replacement: `layers.parquet` then has the error of each score for
    that neuroids are a sample, and correlations an interval that holds it, too. Null: none."""
    seed: Seed = 0
    """Seed of samples and permutations."""
