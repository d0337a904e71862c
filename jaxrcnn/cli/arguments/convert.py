"""python -m jaxrcnn convert SOURCE --model NAME --out DIR, and back: DIR --to torchvision"""

import argparse
import pathlib

from jaxrcnn.cli.arguments import FIELDS
from jaxrcnn.cli.arguments.pieces import add_pieces_argument
from jaxrcnn.cli.parsing import checkpoint
from jaxrcnn.interop.models import MODELS

TAKES_FIELDS = True

EPILOG = """\
models of torchvision (names of its functions in torchvision.models.detection):
  {torchvision}

models of Detectron2 (names of its config files in configs/COCO-Detection):
  {detectron2}

For published weights of Detectron2, append the training schedule to the name: _1x or _3x.

examples:
  jaxrcnn convert --model faster_rcnn_R_50_FPN_3x --weights COCO --out models/a
  jaxrcnn convert weights.pth --model fasterrcnn_resnet50_fpn --out models/b
  jaxrcnn convert models/b --to torchvision --out weights.safetensors

{fields}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[SOURCE] [--model NAME] [--weights NAME] [--key NAME] [--input-format ORDER]
    [--classes FILE] [--pieces MODULE:FUNCTION] [--to torchvision [--checkpoint NAME]]
    --out PATH.
    """
    names = {peer: "\n  ".join(_models_of(peer)) for peer in ("torchvision", "detectron2")}
    parser.epilog = EPILOG.format(**names, fields=FIELDS)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=pathlib.Path,
        nargs="?",
        help="weight file (.pth, .pkl or .safetensors); with --to, the folder of a model or a run",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="detector that the weights belong to; one of those listed below",
    )
    parser.add_argument(
        "--weights",
        metavar="NAME",
        help="published weights of the model to download instead of SOURCE: COCO_V1 "
        "(torchvision) or COCO (Detectron2)",
    )
    parser.add_argument(
        "--classes",
        metavar="FILE",
        type=pathlib.Path,
        help="text file with a class name on each line, without the background (default: COCO's "
        "names if there are as many classes)",
    )
    parser.add_argument(
        "--key",
        metavar="NAME",
        default="",
        help="weights to take from a file that holds several, such as model_ema or state_dict.model"
        " (default: the only ones, or those that are not a moving average)",
    )
    parser.add_argument(
        "--input-format",
        choices=("BGR", "RGB"),
        default="",
        help="INPUT.FORMAT of a Detectron2 model, if pixel_mean in the file does not tell it",
    )
    add_pieces_argument(parser)
    parser.add_argument(
        "--to", choices=("torchvision",), help="write a weight file that torchvision loads"
    )
    parser.add_argument(
        "--checkpoint",
        metavar="best|last|STEP",
        type=checkpoint,
        help="with --to, checkpoint of a run to write (default: the best if it was trained with "
        "train.keep_best, else the last)",
    )
    parser.add_argument(
        "--out",
        metavar="PATH",
        type=pathlib.Path,
        required=True,
        help="folder to write the model to; with --to, a .safetensors file",
    )


def _models_of(peer: str) -> list[str]:
    return sorted(name for name, model in MODELS.items() if model.peer == peer)
