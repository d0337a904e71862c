import json

import pytest

from jaxrcnn.data.foreign_files import find_foreign, what_is

LABELME = {"version": "5.0", "shapes": [], "imagePath": "a.jpg", "imageHeight": 3}


def test_one_file_of_each_kind_is_found_at_the_top_and_a_folder_deeper(tmp_path):
    (tmp_path / "annotations.xml").write_text("<annotations/>")
    (tmp_path / "train").mkdir()
    for name in "ab":
        (tmp_path / "train" / f"{name}.json").write_text(json.dumps(LABELME))
    found = list(find_foreign(str(tmp_path)))
    assert [path for path, _ in found] == [
        str(tmp_path / "annotations.xml"),
        str(tmp_path / "train" / "a.json"),
    ]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("export.ZIP", "an archive; unpack it first"),
        ("export.tar.gz", "an archive; unpack it first"),
        ("cells.tfrecord", "TensorFlow's TFRecord; export as"),
        ("train.tfrecord-00000-of-00001", "TensorFlow's TFRecord; export as"),
        ("train.record", "TensorFlow's TFRecord; export as"),
        ("labels.xlsx", "a spreadsheet; save it as CSV"),
        ("output.manifest", "SageMaker's manifest; convert it to COCO"),
        ("annotation_train.odgt", "CrowdHuman's annotations; convert them to COCO"),
        ("export.ndjson", "Labelbox's or Ultralytics' NDJSON; export as"),
        ("_annotations.train.jsonl", "JSON Lines without objects of Hugging Face's"),
        ("IMG_1.HEIC", "a HEIC image, which cannot be read; convert"),
    ],
)
def test_some_files_are_known_by_their_names(tmp_path, name, what):
    (tmp_path / name).write_bytes(b"\x00")
    assert what_is(str(tmp_path / name)).startswith(what)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        (
            "via_export_csv.csv",
            "filename,file_size,region_count,region_shape_attributes,region_attributes\n",
            "VIA's CSV; export annotations as COCO",
        ),
        ("p.csv", "annotation_id,annotator,created_at,id,image,label\n", "Label Studio's CSV"),
        ("_classes.csv", "filename, cat, dog\na.jpg, 1, 0\n", "Roboflow's classes of whole"),
        (
            "a.csv",
            "foto,links,oben,rechts,unten\n",
            "a table without known columns of boxes, it has 'foto', 'links', 'oben', 'rechts', "
            "'unten'; say which they are with --config.data.columns",
        ),
        ("a.txt", "0 0.5 0.5 0.1 0.2\n", "a label file of YOLO; the images belong beside"),
        ("a.txt", "\ufeff0 0.5 0.5 0.1 0.2\r\n", "a label file of YOLO"),
        ("a.txt", "684,8,273,116,0,0,0,0\n", "VisDrone's text; convert"),
        ("a.txt", "684,8,273,116,1,4,0,0,\n", "VisDrone's text; convert"),
        (
            "a.txt",
            "Car 0.00 0 -1.58 587.0 173.3 614.1 200.1 1.6 1.6 3.6 -0.6 1.7 46.7 -1.5\n",
            "KITTI",
        ),
        (
            "a.txt",
            "imagesource:GoogleEarth\ngsd:0.14\n",
            "DOTA's text, whose oriented boxes are not",
        ),
        ("a.txt", "1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 plane 0\n", "DOTA's text"),
    ],
)
def test_tables_and_texts_are_known_by_how_they_begin(tmp_path, name, text, what):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert what_is(str(tmp_path / name)).startswith(what)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "filename,class,xmin,ymin,xmax,ymax\n"),  # is read
        ("a.csv", ""),
        ("a.txt", ""),
        ("README.txt", "5 things to know about it\n"),
        ("classes.txt", "cat\ndog\n"),
        ("a.xml", "<annotation/>"),
        ("a.py", "1"),
    ],
)
def test_other_files_are_unknown(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert what_is(str(tmp_path / name)) == ""
    assert what_is(str(tmp_path / "missing.txt")) == ""


def test_parquet_with_images_in_it_is_called_so(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"image": {"bytes": b"1", "path": "a.jpg"}, "objects": {"bbox": [[1.0, 2.0]]}}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "train-0.parquet")
    assert what_is(str(tmp_path / "train-0.parquet")).startswith("Parquet with images in it")
