"""The data sets of record_tide.py, and what tidecv says of them."""

import json
import pathlib

import numpy as np

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.coco import ImageDetections

CASES = json.loads((pathlib.Path(__file__).parent / "data" / "errors_of_tidecv.json").read_text())


def open_case(name):
    """The data set and the detections of a case."""
    case = CASES[name]
    images = case["images"]
    records = [
        make_record(number, str(number), "", (480, 640), x["boxes"], x["labels"], crowd=x["crowd"])
        for number, x in enumerate(images)
    ]
    detections = {
        number: ImageDetections(
            np.array(x["found"], np.float32).reshape(-1, 4),
            np.array(x["scores"]),
            np.array(x["found_labels"], np.int32),
        )
        for number, x in enumerate(images)
    }
    names = tuple(f"class {label}" for label in range(1, case["classes"] + 1))
    return Dataset("recorded", tuple(records), names), detections
