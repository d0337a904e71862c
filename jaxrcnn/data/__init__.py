"""Images and boxes from disk or drawn, as batches."""

from jaxrcnn.data.batches import EvalBatch
from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.datasets import (
    open_datasets,
    open_eval_dataset,
    open_test_dataset,
    open_train_dataset,
)
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.image_folder import read_image_folder
from jaxrcnn.data.joining import join, relabel, rename
from jaxrcnn.data.loader import BatchStream, eval_batches, train_batches
from jaxrcnn.data.proposals import read_proposals, write_proposals
from jaxrcnn.data.records import Dataset, Record, Transform, make_record
from jaxrcnn.data.sample import Sample
from jaxrcnn.data.sources import resolve_data
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.data.table import read_table
from jaxrcnn.data.transforms import crop, keep_boxes
from jaxrcnn.data.voc import read_voc
from jaxrcnn.data.yolo import read_yolo

__all__ = [
    "BatchStream",
    "DataError",
    "Dataset",
    "EvalBatch",
    "Record",
    "Sample",
    "Transform",
    "crop",
    "eval_batches",
    "join",
    "keep_boxes",
    "make_record",
    "open_datasets",
    "open_eval_dataset",
    "open_test_dataset",
    "open_train_dataset",
    "read_coco",
    "read_image_folder",
    "read_proposals",
    "read_table",
    "read_voc",
    "read_yolo",
    "relabel",
    "rename",
    "resolve_data",
    "shapes_dataset",
    "train_batches",
    "write_proposals",
]
