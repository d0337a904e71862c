"""The networks in a dict of tensors."""

from jaxrcnn.interop.networks import BACKBONES, DETECTORS, split
from jaxrcnn.interop.sources import SIGNS
from tests.interop.test_state_dicts import DETECTRON2, RESNET, TORCHVISION, X, before


def only(tensors):
    (network,) = split(("state_dict",), tensors)
    assert network.keys == ("state_dict",)
    return network


def test_networks_have_a_rank_and_a_label():
    ranks = [only(x).rank for x in (TORCHVISION, DETECTRON2, RESNET, {"a.weight": X})]
    assert ranks == [2, 2, 1, 0]
    both = before("a.b.", TORCHVISION) | before("c.", TORCHVISION)
    assert [x.label for x in split((), both)] == ["a.b", "c"]
    assert only(before("net.", RESNET)).label == "state_dict.net"


def test_wrappers_inside_of_names_are_taken_out():
    wrapped = {name.replace(".", ".module.", 1): x for name, x in TORCHVISION.items()}
    assert only(wrapped).tensors.keys() == TORCHVISION.keys()
    wrapped = {name.replace(".", "._orig_mod.", 1): x for name, x in DETECTRON2.items()}
    assert only(wrapped).tensors.keys() == DETECTRON2.keys()


def test_two_networks_of_which_one_is_wrapped_keep_their_names():
    both = RESNET | before("module.", RESNET)
    assert only(both).tensors == both


def test_of_an_unknown_network_only_wrappers_are_taken_off():
    unknown = {"encoder.a.weight": X, "encoder.b.weight": X}
    assert only(unknown).tensors == unknown
    assert only(before("module.", unknown)).tensors == unknown
    yolo = before("model.", {"0.conv.weight": X})
    assert only(yolo).tensors == yolo


def test_the_signs_are_those_by_which_a_peer_is_recognised():
    assert set(SIGNS) == {*DETECTORS, *BACKBONES}
