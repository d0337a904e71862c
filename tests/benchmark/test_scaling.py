"""Every expected time was computed by hand from the bytes, bandwidths and latencies."""

import pytest
from PIL import Image

from jaxrcnn.benchmark.scaling import (
    Cluster,
    Network,
    Work,
    all_gather,
    all_reduce,
    communication,
    describe_steps,
    divide,
    plot_steps,
    reduce_scatter,
    step_time,
)

LINE = Network(bandwidth=100.0, latency=0.5)  # bytes a second, seconds
QUICK = Network(bandwidth=1000.0)
SLOW = Network(bandwidth=10.0)
CLUSTER = Cluster(inner=QUICK, outer=SLOW, chips_per_host=4)
WORK = Work(compute=2.0, parameters=800.0, gradients=400.0)


def test_a_ring_sends_all_but_one_share_in_each_half():
    # 4 chips: 3 messages of 25 bytes each, 0.25 + 0.5 s a message
    assert all_gather(100.0, 4, LINE) == pytest.approx(3 * 0.75)
    assert reduce_scatter(100.0, 4, LINE) == pytest.approx(3 * 0.75)
    assert all_reduce(100.0, 4, LINE) == pytest.approx(6 * 0.75)


def test_one_chip_sends_nothing():
    assert all_reduce(100.0, 1, LINE) == 0
    assert step_time(WORK, CLUSTER, 1).total == 2.0
    assert step_time(WORK, CLUSTER, 1).efficiency == 1.0


def test_without_latency_it_nears_twice_the_bytes_over_the_bandwidth():
    assert all_reduce(100.0, 10_000, QUICK) == pytest.approx(0.2, rel=1e-3)


@pytest.mark.parametrize(
    ("chips", "seconds"),
    [
        (2, 2 * 1 / 2 * 400 / 1000),
        (4, 2 * 3 / 4 * 400 / 1000),
        # within each host as above; then each chip has 100 bytes for a ring of the hosts
        (8, 2 * 3 / 4 * 400 / 1000 + 2 * 1 / 2 * 100 / 10),
        (16, 2 * 3 / 4 * 400 / 1000 + 2 * 3 / 4 * 100 / 10),
    ],
)
def test_hosts_add_up_a_share_of_the_gradients_each_chip(chips, seconds):
    assert communication(WORK, CLUSTER, chips) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("fsdp", "seconds"),
    [
        # parameters twice, gradients once, each half of it from the other chip; then 200 bytes
        # between the two groups of the host, and 100 of each chip between the two hosts
        (2, 2 * 400 / 1000 + 200 / 1000 + 2 * 1 / 2 * 200 / 1000 + 2 * 1 / 2 * 100 / 10),
        # three quarters of them from three others, and nothing between groups
        (4, 2 * 600 / 1000 + 300 / 1000 + 2 * 1 / 2 * 100 / 10),
    ],
)
def test_divided_parameters_are_gathered_twice(fsdp, seconds):
    assert communication(WORK, CLUSTER, 8, fsdp) == pytest.approx(seconds)


@pytest.mark.parametrize(("chips", "fsdp"), [(6, 1), (0, 1), (4, 3), (8, 8), (4, 0)])
def test_what_cannot_be_divided_is_refused(chips, fsdp):
    with pytest.raises(ValueError, match="chips"):
        communication(WORK, CLUSTER, chips, fsdp)


def test_hosts_are_filled():
    assert [divide(chips, 4) for chips in (1, 3, 4, 12)] == [(1, 1), (1, 3), (1, 4), (3, 4)]


def test_communication_hides_behind_a_share_of_the_compute_time():
    # 8 chips communicate for 10.6 s; half of 2 s is hidden
    step = step_time(WORK._replace(overlap=0.5), CLUSTER, 8)
    assert step.communication == pytest.approx(10.6)
    assert step.exposed == pytest.approx(9.6)
    assert step.total == pytest.approx(11.6)
    assert step.efficiency == pytest.approx(2 / 11.6)
    assert step_time(WORK._replace(overlap=0.5), CLUSTER, 2).total == 2.0  # 0.4 s are all hidden


def test_images_are_waited_for_where_they_take_longer():
    step = step_time(WORK._replace(input=2.5), CLUSTER, 2)  # 2 s and 0.4 s
    assert step.waiting == pytest.approx(0.1)
    assert step.total == pytest.approx(2.5)
    assert step_time(WORK._replace(input=2.3), CLUSTER, 2).waiting == 0


def test_the_table_has_a_line_for_each_number_of_chips():
    steps = [step_time(WORK, CLUSTER, chips) for chips in (1, 8)]
    assert [line.split() for line in describe_steps(steps, images_per_chip=630.0)[1:]] == [
        ["1", "2000.0", "0.00", "315", "100%"],
        ["8", "12600.0", "10600.00", "400", "16%"],  # 8 * 630 images in 12.6 s
    ]


def test_the_plot_is_an_image(tmp_path):
    steps = [step_time(WORK, CLUSTER, chips) for chips in (1, 2, 4, 8)]
    plot_steps({"measured": steps, "half": steps[:2]}, tmp_path / "a.png", "a model")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size > (600, 300)
