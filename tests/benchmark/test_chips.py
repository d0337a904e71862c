from types import SimpleNamespace

import jax
import pytest

from jaxrcnn.benchmark.chips import Peak, measure_peak, peak_of


@pytest.mark.parametrize(
    ("kind", "dtype", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", Peak(989e12, 3.35e12, "published")),
        ("NVIDIA H200", "float32", Peak(494e12, 4.8e12, "published")),
        ("NVIDIA A100-SXM4-80GB", "bfloat16", Peak(312e12, 2.04e12, "published")),
        ("NVIDIA A100-SXM4-40GB", "bfloat16", Peak(312e12, 1.56e12, "published")),
        ("Tesla T4", "float32", Peak(8.1e12, 0.32e12, "published")),
        ("NVIDIA L4", "bfloat16", Peak(121e12, 0.3e12, "published")),
        ("TPU v5 lite", "bfloat16", Peak(197e12, 0.82e12, "published")),
        ("TPU v5", "bfloat16", Peak(459e12, 2.77e12, "published")),
    ],
)
def test_known_chips_have_the_published_peak(kind, dtype, peak):
    assert peak_of(SimpleNamespace(device_kind=kind), dtype) == peak


def test_a_chip_whose_name_only_begins_like_a_known_one_is_another():
    # An L40S is no L4: it is three times as fast.
    device = SimpleNamespace(device_kind="NVIDIA L40S")
    with pytest.raises(Exception, match="SimpleNamespace"):  # it cannot be measured
        peak_of(device, "bfloat16")


def test_another_device_is_measured(monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(
        "jaxrcnn.benchmark.timing.time.perf_counter", lambda: 0.5 * next(ticks)
    )  # every call takes half a second
    peak = measure_peak(jax.devices()[0], "float32")
    assert peak == Peak(2 * 2048**3 / 0.5, 2 * 2**28 / 0.5, "measured")
