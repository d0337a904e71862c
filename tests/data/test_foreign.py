import json

import pytest

from jaxrcnn.data.foreign import identify

VIA = {"a.jpg123": {"filename": "a.jpg", "regions": [{"shape_attributes": {"name": "rect"}}]}}
LABELME = {"version": "5.0", "shapes": [], "imagePath": "a.jpg", "imageHeight": 3}
STUDIO = [{"id": 1, "annotations": [{"result": []}], "data": {"image": "a.jpg"}}]
STUDIO_MIN = [{"image": "a.jpg", "label": [{"rectanglelabels": ["cat"], "x": 1}]}]
CREATE_ML = [{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1}}]}]
RESULTS = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]
CAPTIONS = {"images": [], "annotations": [{"caption": "a cat", "image_id": 1}]}
DATUMARO = {
    "info": {},
    "categories": {"label": {"labels": [{"name": "cat"}]}},
    "items": [{"id": "a", "annotations": [{"type": "bbox", "bbox": [0, 0, 1, 1]}]}],
}
DARWIN = {
    "version": "2.0",
    "schema_ref": "https://darwin-public.s3/darwin_json/2.0/schema.json",
    "item": {"name": "a.jpg", "slots": []},
    "annotations": [{"bounding_box": {"x": 1}, "name": "cat"}],
}
SUPERVISELY = {"size": {}, "objects": [{"classTitle": "cat", "geometryType": "rectangle"}]}
FIFTYONE = {"classes": ["cat"], "labels": {"a": [{"label": "cat", "bounding_box": [0, 0, 1, 1]}]}}
BDD = [{"name": "a.jpg", "labels": [{"category": "car", "box2d": {"x1": 1}}]}]


@pytest.mark.parametrize(
    ("tree", "what"),
    [
        (DATUMARO, "Datumaro's JSON; export as COCO"),
        (DARWIN, "Darwin's JSON (V7); export as COCO"),
        (SUPERVISELY, "Supervisely's JSON; export as COCO"),
        ({"classes": [], "tags": [], "projectType": "images"}, "Supervisely's JSON; export"),
        (FIFTYONE, "FiftyOne's JSON; export as COCODetectionDataset"),
        (BDD, "BDD100K's JSON; convert it to COCO"),
        (VIA, "VIA's JSON; export annotations as COCO"),
        ({"_via_settings": {}, "_via_img_metadata": VIA}, "VIA's JSON; export"),
        (LABELME, "LabelMe's JSON; convert it to COCO"),
        (STUDIO, "Label Studio's JSON; export as COCO"),
        (STUDIO_MIN, "Label Studio's JSON; export as COCO"),
        (CREATE_ML, "CreateML's JSON; export as COCO"),
        (RESULTS, "COCO's results (detections without images and categories)"),
        (CAPTIONS, "COCO's captions, which have no boxes"),
    ],
)
def test_json_of_other_formats_is_called_by_its_name(tmp_path, tree, what):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(tree))
    known, found = identify(str(file))
    assert known == ""
    assert found.startswith(what)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        '{"images": [], "annotations": [], "categories": []}',
        '\n {"info": {}, "categories" : [ {"id": 1}], "images": [',  # cut short
        '{"info": "' + 100_000 * "x" + '", "images": []}',  # only the end says what it is
    ],
)
def test_cocos_json_is_known_by_its_tables(tmp_path, text, encoding):
    file = tmp_path / "a.json"
    file.write_text(text, encoding=encoding)
    assert identify(str(file)) == ("coco", "")


def test_categories_alone_are_cocos_only_where_more_may_follow(tmp_path):
    # Label Studio's notes.json, beside the files of its YOLO export
    file = tmp_path / "notes.json"
    tree = {"categories": [{"id": 0, "name": "cat"}], "info": {"contributor": "Label Studio"}}
    file.write_text(json.dumps(tree))
    assert identify(str(file)) == ("", "")
    tree["categories"] *= 9000
    file.write_text(json.dumps(tree))
    assert identify(str(file)) == ("coco", "")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1, 2]", b'{"a": 1}', b"\xff"])
def test_other_json_is_unknown(tmp_path, content):
    file = tmp_path / "a.json"
    file.write_bytes(content)
    assert identify(str(file)) == ("", "")
    assert identify(str(tmp_path / "missing.json")) == ("", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<annotation><object/></annotation>", ("voc", "")),
        ("<annotation><object", ("voc", "")),  # cut short: its reader says so
        ("<annotations/>", ("", "CVAT's XML; export as COCO 1.0")),
        ("<svg/>", ("", "")),
        ("", ("", "")),
        ("no xml", ("", "")),
    ],
)
def test_xml_is_known_by_its_outermost_element(tmp_path, text, expected):
    file = tmp_path / "a.xml"
    file.write_text(text)
    assert identify(str(file)) == expected
