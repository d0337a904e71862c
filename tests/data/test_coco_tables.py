import copy
from collections import defaultdict

import pytest

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.coco_tables import read_split
from jaxrcnn.data.errors import DataError
from tests.data.coco_files import TABLES, changed, changed_all, write


def read(root, on_error="raise"):
    log = FaultLog(on_error)
    return read_split(str(root), "train", log), log.lines


def owned(split):
    """Ids of annotations by those of their images, in the order of the table."""
    rows, odd = split.annotations
    columns = zip(rows.places.tolist(), rows.owners.tolist(), rows.ids.tolist(), strict=True)
    found = defaultdict(list)
    for _, owner, key in sorted([*columns, *((p, owner, a["id"]) for p, owner, a in odd)]):
        found[split.images[owner]["id"]].append(key)
    return found


def test_tables_are_grouped_by_image(tmp_path):
    write(tmp_path, TABLES)
    split, _ = read(tmp_path)
    assert split.file == str(tmp_path / "annotations" / "instances_train.json")
    assert split.folder == str(tmp_path / "train")
    assert split.categories == {90: "dog", 4: "cat", 17: "owl"}
    assert [image["id"] for image in split.images] == [40, 7, 9]
    assert owned(split) == {40: [1], 7: [3, 2, 8]}


@pytest.mark.parametrize("folder", ["images/train", "images", "JPEGImages"])
def test_images_may_stand_in_other_folders(tmp_path, folder):
    write(tmp_path, TABLES, folder=folder)
    assert read(tmp_path)[0].folder == str(tmp_path / folder)


@pytest.mark.parametrize("write_id", [str, float, lambda key: f"{key:07d}_d"])
def test_ids_of_images_are_numbers_or_strings(tmp_path, write_id):
    tables = changed_all("images", lambda image: {"id": write_id(image["id"])})
    tables["annotations"] = [
        {**entry, "image_id": write_id(entry["image_id"])} for entry in tables["annotations"]
    ]
    write(tmp_path, tables)
    split, _ = read(tmp_path)
    expected = [key if write_id is float else write_id(key) for key in (40, 7, 9)]
    assert [image["id"] for image in split.images] == expected
    assert [type(image["id"]) for image in split.images] == [type(key) for key in expected]
    assert [len(owned(split).get(key, ())) for key in expected] == [1, 3, 0]


@pytest.mark.parametrize("change", [lambda _: {"id": None}, lambda a: {"id": f"uuid-{a['id']}"}])
def test_annotations_without_a_number_are_numbered_by_their_place(tmp_path, change):
    write(tmp_path, changed_all("annotations", change))
    assert owned(read(tmp_path)[0])[7] == [1, 3, 4]


UNUSABLE_IDS = {
    "no image id": (changed("images", 2, id=None), "image 3 of the table 'images': its id is None"),
    "huge image id": (changed("images", 2, id=2**70), "(int), beyond 64 bits"),
    "a bool as image id": (changed("images", 2, id=True), "True (bool), not a whole number"),
    "a list as image id": (changed("images", 2, id=[9]), "[9] (list), not a whole number"),
    "huge annotation id": (changed("annotations", 3, id=2**70), "beyond 64 bits"),
    "a list as annotation id": (changed("annotations", 3, id=[8]), "annotation [8]: its id is [8]"),
    "no image": (changed("annotations", 3, image_id=None), "annotation 8: its image_id is None"),
    "other image": (changed("annotations", 3, image_id=8), "annotation 8: there is no image 8 "),
    "other type": (changed("annotations", 3, image_id="7"), "there is no image '7' (str)"),
}


@pytest.mark.parametrize("name", UNUSABLE_IDS)
def test_an_unusable_id_costs_its_entry_alone(tmp_path, name):
    tables, said = UNUSABLE_IDS[name]
    write(tmp_path, tables)
    with pytest.raises(DataError) as error:
        read(tmp_path)
    split, lines = read(tmp_path, "skip")
    assert lines == [str(error.value)]
    assert said in lines[0]
    assert lines[0].endswith("data.on_error=skip")
    images = [40, 7, 9] if tables["images"] == TABLES["images"] else [40, 7]
    assert [image["id"] for image in split.images] == images
    boxes = [3, 2, 8] if tables["annotations"] == TABLES["annotations"] else [3, 2]
    assert owned(split)[7] == boxes


def test_entries_that_share_an_id_are_all_left_out(tmp_path):
    write(tmp_path, changed("images", 2, id=40))
    with pytest.raises(DataError, match=r"image 40 \(a\.png\): more than one image has this id"):
        read(tmp_path)
    split, lines = read(tmp_path, "skip")
    assert [image["id"] for image in split.images] == [7]
    assert len(lines) == 2
    write(tmp_path, changed("annotations", 0, id=8))
    with pytest.raises(DataError, match="annotation 8: more than one annotation has this id"):
        read(tmp_path)
    split, lines = read(tmp_path, "skip")
    assert owned(split)[7] == [2]
    assert len(lines) == 2


@pytest.mark.parametrize("other", [8.0, 8])
def test_an_id_is_the_same_however_it_is_written(tmp_path, other):
    write(tmp_path, changed("annotations", 0, id=other))
    split, lines = read(tmp_path, "skip")
    assert [line.split(": ")[1] for line in lines] == [f"annotation {other}", "annotation 8"]
    assert owned(split)[7] == [2]


UNUSABLE = {
    "not json": ('{"images": [', "is not COCO's JSON"),
    "nested too deeply": ("[" * 100_000, "is not COCO's JSON"),
    "another encoding": (b'{"images": "\xdf"}', "is not COCO's JSON ('utf-8' codec"),
    "a list": ("[]", "'images' is missing"),
    "no annotations": ({key: TABLES[key] for key in ("images", "categories")}, "'annotations'"),
    "no category id": (
        changed("categories", 0, id=None),
        "the id of a category is None (NoneType)",
    ),
    "string as category id": (changed("categories", 0, id="90"), "category is '90' (str), not a w"),
    "huge category id": (changed("categories", 0, id=2**70), "(int), beyond 64 bits"),
    "number as name": (changed("categories", 0, name=90), "name of a category is 90 (int)"),
    "category id twice": (changed("categories", 0, id=4), "the id 4 is used twice"),
    "category name twice": (changed("categories", 0, name="cat"), "the name 'cat' is used twice"),
    "name twice but for blanks": (changed("categories", 0, name="cat "), "'cat' is used twice"),
}


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_an_unusable_file_always_stops(tmp_path, name, on_error):
    tables, what = UNUSABLE[name]
    write(tmp_path, tables)
    with pytest.raises(DataError) as error:
        read(tmp_path, on_error)
    assert what in str(error.value)
    assert "instances_train.json: split train: " in str(error.value)
    assert "\n" not in str(error.value)


def rooted(root, **parents):
    tables = copy.deepcopy(TABLES)
    for entry in tables["categories"]:
        entry["supercategory"] = parents.get(entry["name"], root["name"])
    tables["categories"].insert(0, root)
    return tables


@pytest.mark.parametrize("name", ["pets", "dog"])  # exports of one class may call both the same
def test_the_root_category_of_roboflow_is_left_out(tmp_path, name):
    write(tmp_path, rooted({"id": 0, "name": name, "supercategory": "none"}))
    split, _ = read(tmp_path)
    assert split.categories == {90: "dog", 4: "cat", 17: "owl"}
    assert split.notes == [f"category '{name}', the parent of all others, has no boxes: left out"]


def test_a_category_above_some_others_or_with_boxes_is_a_class(tmp_path):
    root = {"id": 0, "name": "pets", "supercategory": "none"}
    write(tmp_path, rooted(root, owl="birds"))
    assert read(tmp_path)[0].categories[0] == "pets"
    tables = rooted(root)
    tables["annotations"][0]["category_id"] = 0
    write(tmp_path, tables)
    assert read(tmp_path)[0].categories[0] == "pets"
    write(tmp_path, changed_all("categories", lambda entry: {"supercategory": entry["name"]}))
    assert read(tmp_path)[0].notes == []


def test_blanks_around_a_name_are_no_part_of_it(tmp_path):
    write(tmp_path, changed("categories", 0, name=" dog\t"))
    assert read(tmp_path)[0].categories[90] == "dog"


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"instances_train\.json: split train: cannot be read"):
        read(tmp_path)
    write(tmp_path, TABLES)
    (tmp_path / "train").rename(tmp_path / "val")
    with pytest.raises(
        DataError, match=r"split train: there is no image folder \(looked for train, "
    ):
        read(tmp_path)


def test_a_single_category_without_a_name_is_a_fault_and_no_root(tmp_path):
    tables = {**TABLES, "annotations": [], "categories": [{"id": 1}, {"id": 2, "name": "dog"}]}
    write(tmp_path, tables)
    with pytest.raises(DataError, match=r"the name of a category is None \(NoneType\), not a name"):
        read(tmp_path)
