"""A model of the time of a training step on many chips: what a user's own machines would take.

It is arithmetic on a few numbers, not a measurement. Each chip computes its own images, and the
gradients are then added up over all chips by a ring: each of n chips sends and receives
2 (n - 1) / n times their bytes in 2 (n - 1) messages (Patarasuk and Yuan 2009, Bandwidth optimal
all-reduce algorithms for clusters of workstations), half of it a reduce-scatter and half an
all-gather. With parameters that are divided among the chips of a group (fsdp; Rajbhandari et al.
2020, ZeRO), they are gathered once for the forward and once for the backward pass, the gradients
are reduced to the owners in the group, and each owner then adds up its share with those of the
other groups. How to Scale Your Model (Austin et al. 2025, jax-ml.github.io/scaling-book) derives
the same formulas for TPUs.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxrcnn.curves import LINE_COLORS, clean_axes


class Network(NamedTuple):
    """What connects some chips."""

    bandwidth: float  # bytes a second that a chip sends while it receives as many
    latency: float = 0.0  # seconds of one message from a chip to the next


class Work(NamedTuple):
    """What a training step does."""

    compute: float  # seconds for the images of one chip, measured on one chip
    parameters: float  # bytes
    gradients: float  # bytes
    overlap: float = 0.0  # share of the compute time that communication may hide behind
    input: float = 0.0  # seconds to read and decode the images of one chip, while it computes


class Cluster(NamedTuple):
    """Chips on hosts."""

    inner: Network  # among the chips of a host, or of a TPU slice
    outer: Network  # between hosts, as much as each chip has of it
    chips_per_host: int


class Step(NamedTuple):
    """The time of a training step, in seconds."""

    chips: int
    compute: float
    communication: float  # all of it
    exposed: float  # what of it the compute time does not hide
    waiting: float  # for images
    total: float

    @property
    def efficiency(self) -> float:
        """Images a second and chip, as a share of those of one chip that never waits."""
        return self.compute / self.total


def all_reduce(size: float, chips: int, network: Network) -> float:
    """Seconds to add arrays up over chips by a ring, so that each has the sum.

    Args:
        size: bytes of the array, which every chip has.
        chips: in the ring.
        network: that connects a chip and the next.
    """
    return reduce_scatter(size, chips, network) + all_gather(size, chips, network)


def all_gather(size: float, chips: int, network: Network) -> float:
    """Seconds until each chip has the whole array, of which each had its share.

    Args:
        size: bytes of the whole array.
        chips: in the ring.
        network: that connects a chip and the next.
    """
    return (chips - 1) / chips * size / network.bandwidth + (chips - 1) * network.latency


def reduce_scatter(size: float, chips: int, network: Network) -> float:
    """Seconds until each chip has its share of the sum of arrays; see `all_gather`."""
    return all_gather(size, chips, network)


def communication(work: Work, cluster: Cluster, chips: int, fsdp: int = 1) -> float:
    """Seconds that a training step communicates.

    A ring of the chips of a host is followed by one of equal chips of all hosts, which each has
    the rest of the array to add up.

    Args:
        work: of the step.
        cluster: its chips.
        chips: of them, a multiple of the chips of a host where there are more than one host.
        fsdp: chips among which parameters are divided, all on one host.

    Raises:
        ValueError: so many chips cannot be divided so.
    """
    hosts, inside = divide(chips, cluster.chips_per_host)
    if fsdp < 1 or inside % fsdp:
        raise ValueError(f"fsdp={fsdp} does not divide the {inside} chips of a host")
    gathered = 0.0
    if fsdp > 1:  # else every chip has them all
        gathered = 2 * all_gather(work.parameters, fsdp, cluster.inner)
        gathered += reduce_scatter(work.gradients, fsdp, cluster.inner)
    share, groups = work.gradients / fsdp, inside // fsdp
    inner = all_reduce(share, groups, cluster.inner)
    return gathered + inner + all_reduce(share / groups, hosts, cluster.outer)


def divide(chips: int, chips_per_host: int) -> tuple[int, int]:
    """The number of hosts, and of chips that take part on each.

    Raises:
        ValueError: the last host would have fewer.
    """
    inside = min(chips, chips_per_host)
    if chips < 1 or chips % inside:
        raise ValueError(f"{chips} chips do not fill hosts of {chips_per_host}")
    return chips // inside, inside


def step_time(work: Work, cluster: Cluster, chips: int, fsdp: int = 1) -> Step:
    """The time of a training step whose chips have as many images each as one has alone.

    Raises:
        ValueError: see `communication`.
    """
    communicated = communication(work, cluster, chips, fsdp)
    exposed = max(0.0, communicated - work.overlap * work.compute)
    busy = work.compute + exposed
    waiting = max(0.0, work.input - busy)
    return Step(chips, work.compute, communicated, exposed, waiting, busy + waiting)


def describe_steps(steps: Sequence[Step], images_per_chip: float) -> list[str]:
    """A table, a line for each number of chips: the step's time and the images a second."""
    lines = ["chips   step ms   communication ms   images/s   efficiency"]
    for step in steps:
        speed = step.chips * images_per_chip / step.total
        lines.append(
            f"{step.chips:5}   {1e3 * step.total:7.1f}   {1e3 * step.communication:16.2f}   "
            f"{speed:8.0f}   {step.efficiency:10.0%}"
        )
    return lines


def plot_steps(
    curves: Mapping[str, Sequence[Step]], path: str | os.PathLike[str], title: str
) -> None:
    """Draw the efficiency over the number of chips, a curve for each list of steps.

    Args:
        curves: the steps, each on another number of chips, by what the legend calls them.
        path: of the PNG file.
        title: above the plot.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for (name, steps), color in zip(curves.items(), itertools.cycle(LINE_COLORS[1:])):
        shares = [100 * step.efficiency for step in steps]
        axes.plot([step.chips for step in steps], shares, ".-", color=color, label=name)
    ticks = sorted({step.chips for steps in curves.values() for step in steps})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axes.set_ylim(0, 105)
    axes.set_xlabel("chips, each with the same number of images", fontsize=9)
    axes.set_ylabel("images/s of a chip, % of one alone", fontsize=9)
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    clean_axes(axes, title)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.2)
