"""The files of weights that the peers publish: names, addresses, hashes, scores.

What stands here is published and no more: the addresses, names and scores are those of torchvision
0.14.1's sources and of Detectron2's model_zoo.py, checkpoint/catalog.py and MODEL_ZOO.md, under
whose terms (CC BY-SA 3.0) Detectron2's files are.
"""

import difflib
import hashlib
import pathlib
from typing import Literal, NamedTuple

from jaxrcnn.config import ConfigError
from jaxrcnn.opening import open_file

TORCHVISION_URL = "https://download.pytorch.org/models/"
DETECTRON2_URL = "https://dl.fbaipublicfiles.com/detectron2/"


class PublishedFile(NamedTuple):
    """One published file of weights."""

    model: str
    """A detector by the peer's name, or a backbone by `model.backbone.name`."""
    weights: str
    """The peer's name of the weights; it tells several of one model apart."""
    url: str
    """Where it is published."""
    hash: str
    """The algorithm and the first digits, as many as are known: "sha256:63fe2227". Empty where none
    are published."""
    peer: Literal["torchvision", "detectron2"]
    """Whose names the arrays have."""
    kind: Literal["detector", "backbone"]
    """A whole detector of COCO's classes, or a classifier of ImageNet's for its backbone."""
    num_classes: int = 0
    """Classes that a detector tells apart, without the background."""
    class_names: Literal["coco_ids", "coco", "none"] = "none"
    """What label k of a detector is: the category of COCO's id k, of which 10 of 90 do not exist
    (torchvision names them N/A), or the k-th of COCO's 80 categories by id. A backbone has none."""
    box_ap: float | None = None
    """A detector's box AP on COCO's val2017 in percent, as the peer publishes it."""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


WHOLE_SHA256 = (
    "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    "258fb6c638b15964ddcdd1ae0748c5eef1be9e732750120cc857feed3faac384",
    "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    "5c1a416349c4cf298f2a6a5e2600ed0ee55e604713578f5e74e6bc8bcaef7997",
    "8738ca797c879b547d18bbd15da5736ff2557b2036a9af72225393ca61759a04",
    "907ea3f91ff92242bc1baea8049276a3e76bca48ce7560bd268cc029f37977b5",
    "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    "dd69338a24b8d7381807e247652bdc356325bcbaf1cd3e092e00e0a1a58706bf",
    "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "fb6a3cc702b1df54c18a44b26708cd083614211062d0c36d2ca7bf9270df3533",
)
"""Of torchvision's files. It publishes the first 8 digits, in the files' names; the others are
those that three or more unrelated public projects measured alike."""


def _torchvision_detector(model: str, ending: str, digits: str, box_ap: float) -> PublishedFile:
    """As in models/detection/faster_rcnn.py, where the box AP is "box_map"."""
    url = f"{TORCHVISION_URL}{model}{ending}-{digits}.pth"
    return PublishedFile(
        model, "COCO_V1", url, _sha256(digits), "torchvision", "detector", 90, "coco_ids", box_ap
    )


def _torchvision_backbone(model: str, weights: str, digits: str) -> PublishedFile:
    """As in models/resnet.py, vgg.py and mobilenetv3.py."""
    url = f"{TORCHVISION_URL}{model}-{digits}.pth"
    return PublishedFile(model, weights, url, _sha256(digits), "torchvision", "backbone")


def _sha256(digits: str) -> str:
    """All of a SHA-256 that is known, by its first 8 digits, which torchvision publishes."""
    return "sha256:" + next((whole for whole in WHOLE_SHA256 if whole.startswith(digits)), digits)


def _detectron2_detector(model: str, run: int, digits: str, box_ap: float) -> PublishedFile:
    """As in model_zoo.py and MODEL_ZOO.md, which says that the digits begin the MD5."""
    url = f"{DETECTRON2_URL}COCO-Detection/{model}/{run}/model_final_{digits}.pkl"
    return PublishedFile(
        model, "COCO", url, f"md5:{digits}", "detectron2", "detector", 80, "coco", box_ap
    )


def _detectron2_backbone(model: str, weights: str, file: str) -> PublishedFile:
    """As in MODEL_ZOO.md, which has no hash of them."""
    url = f"{DETECTRON2_URL}ImageNetPretrained/{weights}/{file}"
    return PublishedFile(model, weights, url, "", "detectron2", "backbone")


FILES = (
    _torchvision_detector("fasterrcnn_resnet50_fpn", "_coco", "258fb6c6", 37.0),
    _torchvision_detector("fasterrcnn_resnet50_fpn_v2", "_coco", "dd69338a", 46.7),
    _torchvision_detector("fasterrcnn_mobilenet_v3_large_fpn", "", "fb6a3cc7", 32.8),
    _torchvision_detector("fasterrcnn_mobilenet_v3_large_320_fpn", "", "907ea3f9", 22.8),
    _torchvision_backbone("resnet18", "IMAGENET1K_V1", "f37072fd"),
    _torchvision_backbone("resnet34", "IMAGENET1K_V1", "b627a593"),
    _torchvision_backbone("resnet50", "IMAGENET1K_V1", "0676ba61"),
    _torchvision_backbone("resnet50", "IMAGENET1K_V2", "11ad3fa6"),
    _torchvision_backbone("resnet101", "IMAGENET1K_V1", "63fe2227"),
    _torchvision_backbone("resnet101", "IMAGENET1K_V2", "cd907fc2"),
    _torchvision_backbone("resnet152", "IMAGENET1K_V1", "394f9c45"),
    _torchvision_backbone("resnet152", "IMAGENET1K_V2", "f82ba261"),
    _torchvision_backbone("resnext101_32x8d", "IMAGENET1K_V1", "8ba56ff5"),
    _torchvision_backbone("resnext101_32x8d", "IMAGENET1K_V2", "110c445d"),
    _torchvision_backbone("vgg16", "IMAGENET1K_V1", "397923af"),
    _torchvision_backbone("mobilenet_v3_large", "IMAGENET1K_V1", "8738ca79"),
    _torchvision_backbone("mobilenet_v3_large", "IMAGENET1K_V2", "5c1a4163"),
    _detectron2_detector("faster_rcnn_R_50_C4_1x", 137257644, "721ade", 35.7),
    _detectron2_detector("faster_rcnn_R_50_DC5_1x", 137847829, "51d356", 37.3),
    _detectron2_detector("faster_rcnn_R_50_FPN_1x", 137257794, "b275ba", 37.9),
    _detectron2_detector("faster_rcnn_R_50_C4_3x", 137849393, "f97cb7", 38.4),
    _detectron2_detector("faster_rcnn_R_50_DC5_3x", 137849425, "68d202", 39.0),
    _detectron2_detector("faster_rcnn_R_50_FPN_3x", 137849458, "280758", 40.2),
    _detectron2_detector("faster_rcnn_R_101_C4_3x", 138204752, "298dad", 41.1),
    _detectron2_detector("faster_rcnn_R_101_DC5_3x", 138204841, "3e0943", 40.6),
    _detectron2_detector("faster_rcnn_R_101_FPN_3x", 137851257, "f6e8b1", 42.0),
    _detectron2_detector("faster_rcnn_X_101_32x8d_FPN_3x", 139173657, "68b088", 43.0),
    _detectron2_backbone("resnet50", "MSRA", "R-50.pkl"),
    _detectron2_backbone("resnet101", "MSRA", "R-101.pkl"),
    _detectron2_backbone("resnext101_32x8d", "FAIR", "X-101-32x8d.pkl"),
)
"""All that can be asked for by name."""


def names() -> dict[str, list[str]]:
    """The names of each model's weights, by the model's."""
    models = dict.fromkeys(file.model for file in FILES)
    return {model: [file.weights for file in FILES if file.model == model] for model in models}


def find(model: str, weights: str) -> PublishedFile:
    """The published file of a model's weights, such as fasterrcnn_resnet50_fpn and COCO_V1.

    Raises:
        ConfigError: there is none of these names; says which are near.
    """
    there = names()
    if model not in there:
        nearest = ", ".join(difflib.get_close_matches(model, there))
        raise ConfigError(
            f"no weights are published for a model {model!r}; "
            + (f"nearest: {nearest}; " if nearest else "")
            + "docs/weights.md lists all"
        )
    for file in FILES:
        if (file.model, file.weights) == (model, weights):
            return file
    raise ConfigError(f"{model} has no weights {weights!r}; it has {', '.join(there[model])}")


def published_as(path: pathlib.Path) -> PublishedFile | None:
    """The published file that a file is a copy of, by its hash; None for any other."""
    found: dict[str, str] = {}
    for file in FILES:
        algorithm, _, digits = file.hash.partition(":")
        if digits and algorithm not in found:
            with open_file(path) as stream:
                found[algorithm] = hashlib.file_digest(stream, algorithm).hexdigest()
        if digits and found[algorithm].startswith(digits):
            return file
    return None


def is_published(path: pathlib.Path, weights: str) -> bool:
    """Whether a file is one of torchvision's detectors with these weights, by its hash."""
    file = published_as(path)
    return file is not None and (file.peer, file.kind, file.weights) == (
        "torchvision",
        "detector",
        weights,
    )
