import re

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.interop.published import FILES, WHOLE_SHA256, find, names


def complaint(model, weights):
    with pytest.raises(ConfigError) as error:
        find(model, weights)
    said = str(error.value)
    assert "\n" not in said
    return said


def test_a_file_is_found_by_the_names_of_its_model_and_weights():
    assert find("fasterrcnn_resnet50_fpn", "COCO_V1")._asdict() == {
        "model": "fasterrcnn_resnet50_fpn",
        "weights": "COCO_V1",
        "url": "https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        "hash": "sha256:258fb6c638b15964ddcdd1ae0748c5eef1be9e732750120cc857feed3faac384",
        "peer": "torchvision",
        "kind": "detector",
        "num_classes": 90,
        "class_names": "coco_ids",
        "box_ap": 37.0,
    }
    assert find("faster_rcnn_R_50_FPN_3x", "COCO")._asdict() == {
        "model": "faster_rcnn_R_50_FPN_3x",
        "weights": "COCO",
        "url": "https://dl.fbaipublicfiles.com/detectron2/COCO-Detection/faster_rcnn_R_50_FPN_3x/"
        "137849458/model_final_280758.pkl",
        "hash": "md5:280758",
        "peer": "detectron2",
        "kind": "detector",
        "num_classes": 80,
        "class_names": "coco",
        "box_ap": 40.2,
    }
    assert find("resnet101", "IMAGENET1K_V2")._asdict() == {
        "model": "resnet101",
        "weights": "IMAGENET1K_V2",
        "url": "https://download.pytorch.org/models/resnet101-cd907fc2.pth",
        "hash": "sha256:cd907fc2",
        "peer": "torchvision",
        "kind": "backbone",
        "num_classes": 0,
        "class_names": "none",
        "box_ap": None,
    }
    msra = find("resnet50", "MSRA")
    assert msra.url == (
        "https://dl.fbaipublicfiles.com/detectron2/ImageNetPretrained/MSRA/R-50.pkl"
    )
    assert (msra.name, msra.hash, msra.peer, msra.kind) == (
        *("R-50.pkl", "", "detectron2", "backbone"),
    )


def test_every_name_finds_its_file():
    pairs = [(model, weights) for model, several in names().items() for weights in several]
    assert sorted(find(*pair) for pair in pairs) == sorted(FILES)
    assert names()["resnet50"] == ["IMAGENET1K_V1", "IMAGENET1K_V2", "MSRA"]


def test_no_two_files_have_a_name_or_a_place_in_common():
    for of in (lambda file: file[:2], lambda file: file.url, lambda file: file.name):
        assert len({of(file) for file in FILES}) == len(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_entry_is_well_formed(file):
    assert re.fullmatch(r"https://[a-z.]+/[\w/.-]+\.(pth|pkl)", file.url)
    assert re.fullmatch(r"(sha256:([0-9a-f]{8}|[0-9a-f]{64})|md5:[0-9a-f]{6}|)", file.hash)
    detects = file.kind == "detector"
    assert (file.num_classes > 0, file.class_names != "none", file.box_ap is not None) == (
        *(detects, detects, detects),
    )
    assert re.match("faster_?rcnn_", file.model) if detects else file.box_ap is None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_digits_in_a_files_name_are_those_of_its_hash(file):
    in_name = re.search(r"(?:-([0-9a-f]{8})\.pth|model_final_([0-9a-f]{6})\.pkl)$", file.name)
    if in_name is None:
        assert file.name in ("R-50.pkl", "R-101.pkl", "X-101-32x8d.pkl")
        assert file.hash == ""
    else:
        sha256, md5 = in_name.groups()
        assert file.hash.startswith(f"sha256:{sha256}" if sha256 else f"md5:{md5}")


def test_every_whole_hash_is_a_files():
    assert sorted(f"sha256:{digits}" for digits in WHOLE_SHA256) == sorted(
        file.hash for file in FILES if len(file.hash) > 20
    )


def test_an_unknown_name_is_one_line_with_the_nearest():
    said = complaint("fasterrcnn_resnet50", "COCO_V1")
    assert "'fasterrcnn_resnet50'; nearest: fasterrcnn_resnet50_fpn, " in said
    assert "docs/weights.md lists all" in said
    said = complaint("yolo", "COCO_V1")
    assert "nearest" not in said
    assert "docs/weights.md lists all" in said
    said = complaint("resnet50", "IMAGENET1K_V3")
    assert said == (
        "resnet50 has no weights 'IMAGENET1K_V3'; it has IMAGENET1K_V1, IMAGENET1K_V2, MSRA"
    )
