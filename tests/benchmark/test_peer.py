import sys

import numpy as np
import pytest

from jaxrcnn.benchmark.ops import nms_case, roi_cases
from jaxrcnn.benchmark.peer import start_torchvision, torchvision_name
from jaxrcnn.benchmark.programs import draw_variables
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.config import ConfigError, ModelConfig
from jaxrcnn.interop.models import fasterrcnn_resnet50_fpn
from tests.cli.test_parity import python_with_torchvision
from tests.tiny import MODEL, change


def test_requests_and_answers_are_a_line_each(fake):
    python, asked = fake
    case = nms_case(30, 64, 96)
    with start_torchvision(python) as peer:
        assert peer.versions == {"torch": "9"}
        peer.nms(case, 0.7)
        assert peer.runner("nms 30")(4) == [0.5] * 4
        assert peer.memory("nms 30") == {"arrays": 1, "resident": 2}
    hello, nms, run, memory = asked()
    assert (hello["do"], hello["threads"] > 0) == ("hello", True)
    assert nms["shapes"] == {"boxes": [30, 4], "scores": [30]}
    assert (nms["name"], nms["iou"]) == ("nms 30", 0.7)
    assert (run["name"], run["steps"]) == ("nms 30", 4)
    assert (memory["do"], memory["name"]) == ("memory", "nms 30")


def test_a_peer_that_dies_says_why_in_one_line(fake):
    python, _ = fake
    with start_torchvision(python) as peer, pytest.raises(ConfigError) as caught:
        peer.drop("dies")
    assert str(caught.value) == (
        f"torchvision did not run under {python} (out of memory); "
        "--peer-python takes a Python that has torchvision"
    )


def test_a_python_that_is_none_or_has_no_torchvision_is_refused(tmp_path):
    none = start_torchvision(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="cannot be run"), none:
        pass
    if python_with_torchvision() != sys.executable:
        without = start_torchvision(sys.executable)
        with (
            pytest.raises(ConfigError, match=r"did not run under .*No module named 'torch"),
            without,
        ):
            pass


def test_torchvision_has_a_function_for_some_detectors():
    assert torchvision_name(ModelConfig()) == "fasterrcnn_resnet50_fpn"
    deep = change(ModelConfig(), box_head={"name": "conv_fc"})
    assert torchvision_name(deep) == "fasterrcnn_resnet50_fpn_v2"
    with pytest.raises(ConfigError, match="no detector of resnet18, c4, two_fc"):
        torchvision_name(MODEL)


@pytest.mark.skipif(python_with_torchvision() is None, reason="needs torchvision")
def test_torchvision_itself_runs_what_it_is_asked_for():
    config = fasterrcnn_resnet50_fpn(3)
    shape = Shape(1, 64, 64)
    with start_torchvision(python_with_torchvision()) as peer:
        assert {"torch", "torchvision", "device"} <= peer.versions.keys()
        for kind in ("train", "predict"):
            settings = peer.detector(kind, config, shape, draw_variables(config))
            assert isinstance(settings["plain"], float)
            assert isinstance(settings["channels_last"], float)
            assert min(peer.run(f"{kind} 1x64x64", 2)) > 0
        memory = peer.memory("train 1x64x64")
        assert 1e8 < memory["arrays"] < memory["resident"]
        case = nms_case(30, 64, 96)
        peer.nms(case, 0.7)
        assert len(peer.run(case.name, 3)) == 3
        for kind, case in zip(
            ("align", "align to features"), roi_cases("align", 64, 96), strict=False
        ):
            peer.align(case, kind, (64, 96), 7, 2)
            assert len(peer.run(case.name, 1)) == 1
        peer.drop("train 1x64x64")
        with pytest.raises(ConfigError, match="KeyError"):
            peer.run("train 1x64x64", 1)


def test_arrays_reach_the_peer_as_they_are(fake):
    python, asked = fake
    case = next(roi_cases("align", 64, 96))
    with start_torchvision(python) as peer:
        peer.align(case, "align", (64, 96), 7, 2)
    request = asked()[-1]
    assert (request["size"], request["side"], request["samples"]) == ([64, 96], 7, 2)
    assert request["shapes"]["map0"] == [16, 24, 256]
    assert request["shapes"]["boxes"] == [512, 4]
    assert np.prod(request["shapes"]["cotangent"]) == 1
