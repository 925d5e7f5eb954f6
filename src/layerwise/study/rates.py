"""How long work takes: rates that were measured, each table with the machine and the files of benchmarks/ behind it.

Jobs that nothing was measured of are said to be so beside their bound.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Seconds of one machine: of one GPU, or of one processor core.

    Parameters
    ----------
    machine, source : str
        What was measured, and where that is written.
    image, unit : float
        A plain forward pass as streamed and sketched fits run it: an image, and each unit of all its layers.
    exact_image, exact_unit : float
        The same as extraction runs it, in full float32.
    product : float
        What a pass of a streamed fit takes beside that, a unit of the fitted layers and image.
    sketch : float
        What the pass of a sketch takes, likewise.
    gram : float
        A Gram matrix in float64: a unit and squared image.
    write : float
        A byte on its way to the disk.
    regression : float
        The regression of a sketched layer: a number that is kept of it for an image.
    split, score : float
        The regression of a stored layer: a split, and a split and squared image.
    read : float
        A byte of it on its way from the disk.
    inverse : float
        A penalty of ridge regression: a cubed image.
    slower : float
        How many times as long the slowest machine that is planned for takes. Not measured.
    on_gpu : bool
        Whether it is a GPU.
    training : float
        How many times as long a step of training takes as on the machine that its rates are of.
    """

    machine: str
    source: str
    image: float
    unit: float
    exact_image: float
    exact_unit: float
    product: float
    sketch: float
    gram: float
    write: float
    regression: float
    split: float
    score: float
    read: float
    inverse: float
    slower: float
    on_gpu: bool = False
    training: float = 1.0


GPU = Rates(
    machine="one NVIDIA H100 80GB HBM3",
    source="benchmarks/streaming.md, sketch.md, brain_gpu.md and measures_gpu.md",
    # streaming.md: plain passes of 54,660, 7,323 and 3,375 images a second of networks of 1.1, 28.8 and 57.6 M units;
    # fits of 37, 298 and 677 s, 11.6 s for a million units.
    image=13e-6,
    unit=4.9e-12,
    product=2.4e-12,
    # brain_gpu.md: passes of .12, .94 and 1.66 s over 3,200 images; .7, 12.7 and 30.6 s until all Gram matrices are
    # computed, in 1, 6 and 12 passes; 1.2, 15.2 and 37.7 s until .8, 5.1 and 24.1 GB are on the disk; 7.7 ms a layer.
    exact_image=27e-6,
    exact_unit=9e-12,
    gram=3.4e-14,
    write=4.5e-10,
    split=5e-4,
    score=2.6e-11,
    read=9e-10,  # measures_gpu.md: 44 ms a layer of 41 MB, with its regression
    inverse=1e-13,  # 20 Tflop/s in float64. Not measured: a bound
    # sketch.md: passes of 3.5, 13.4 and 81.8 s over 58,741 images, then regressions of 21, 126 and 606 layers in 1.6,
    # 6.0 and 37.6 s.
    sketch=2.6e-12,
    regression=2.6e-10,
    slower=10,  # a V100: a tenth of an H100's float64, a quarter of its bandwidth
    on_gpu=True,
)
CPU = Rates(
    machine="one core of an AMD EPYC",
    source="benchmarks/cpu_rates.md, rough",
    # Plain passes of 10, 25 and 18 ms an image of networks of 1.1, 6.7 and 5.6 M units; streamed passes of 16, 62
    # and 51 ms; sketches of 19, 59 and 35 ms with their regression.
    image=8e-3,
    unit=4e-9,
    exact_image=8e-3,
    exact_unit=4e-9,
    product=5.5e-9,
    sketch=4e-9,
    # .037 ns with 200 images, .025 with 800 and 1,600; ten splits of a layer in .35, .56 and .91 s.
    gram=3.7e-11,
    split=3e-2,
    score=3.6e-8,
    read=0,  # in what a squared image takes
    inverse=9e-11,  # measures.md: 2.0 s for 22 penalties of 1,000 stimuli, ten splits; half of it of 3,200
    # Neither was measured by itself: bounds.
    write=1e-8,
    regression=4e-8,
    slower=4,  # an old core that shares its processor
)

PACKED = 1 / 330  # s an image of 224 pixels on a core of an AMD EPYC: 660 on two, photographs of 37 kB
PACKING = "benchmarks/packing.md"
PACKED_SIZE = 224
START = 11  # s of a job before its own work, on an idle machine that ran SLURM
LEEWAY = 1800  # s that are asked for beside: weights and pixels from a slow disk, a busy node. Not measured
SOLVER = 10  # times as long with scikit-learn's loosely converged iterations. Not measured: a bound


@dataclass(frozen=True)
class Machines:
    """A GPU and a processor core, whose rates seconds are planned with."""

    gpu: Rates = GPU
    cpu: Rates = CPU

    def of(self, on_gpu: bool) -> Rates:
        """Return the rates of the GPU, or of the core."""
        return self.gpu if on_gpu else self.cpu


SHIPPED = Machines()
"""What was measured for `benchmarks/`, and what jobs ask for time by."""
