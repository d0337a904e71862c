from jaxrcnn.data.folders import (
    Listing,
    below,
    existing,
    images_below,
    list_folder,
    walk,
    what_is_there,
)
from tests.data.folders import write


def test_hidden_names_and_those_of_macs_are_left_out(tmp_path):
    for name in ("b.txt", "A.TXT", ".DS_Store", "._b.txt"):
        (tmp_path / name).write_text("")
    for name in ("train", ".git", "__MACOSX"):
        (tmp_path / name).mkdir()
    listing = list_folder(str(tmp_path))
    assert listing == Listing(("A.TXT", "b.txt"), ("train",))
    assert listing.ending(".txt") == ["A.TXT", "b.txt"]
    assert listing.ending(".csv", ".json") == []


def test_what_is_no_folder_holds_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "missing"):
        assert list_folder(str(tmp_path / name)) == Listing((), ())


def test_folders_are_walked_in_order_without_links(tmp_path):
    write(tmp_path, {"b.txt": "", "z/a.txt": "", "a/c/d.txt": "", ".x/e.txt": "", "__MACOSX/f": ""})
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    found = [(below(str(tmp_path), place), listing.files) for place, listing in walk(str(tmp_path))]
    assert found == [(".", ("b.txt",)), ("a", ()), ("a/c", ("d.txt",)), ("z", ("a.txt",))]


def test_images_are_listed_in_order_without_hidden_ones(tmp_path):
    hidden = ("a/.y.png", ".x/w.png", "__MACOSX/a/z.jpg")
    write(tmp_path, {"a/note.txt": ""}, ("b.png", "a/z.jpg", "c.PNG", *hidden))
    found = [below(str(tmp_path), path) for path in images_below(str(tmp_path))]
    assert found == ["b.png", "c.PNG", "a/z.jpg"]


def test_what_a_folder_holds(tmp_path):
    assert what_is_there(str(tmp_path)) == "it is empty"
    write(tmp_path, {"a.csv": "", ".b": ""}, ("c.png", "d.png", "e/f.png"))
    assert what_is_there(str(tmp_path)) == "there are 'a.csv', 'e' and 2 images"
    none = str(tmp_path / "none")
    assert what_is_there(none) == f"{none} cannot be read (No such file or directory)"


def test_paths_are_shown_from_the_root_with_slashes(tmp_path):
    root = str(tmp_path / "a")
    assert below(root, str(tmp_path / "a" / "b" / "c.txt")) == "b/c.txt"
    assert below(root, str(tmp_path / "c.txt")) == str(tmp_path / "c.txt")
    assert below(root, f"{root}/./b//c.txt") == "b/c.txt"
    assert below(root, f"{root}/../c.txt") == f"{root}/../c.txt"
    assert below(root, f"{root}/..c.txt") == f"{root}/..c.txt"
    assert below(root, root) == "."
    assert below("", "b/c.txt") == below(".", "b/c.txt") == "b/c.txt"


def test_existing_folders_come_once_and_in_order(tmp_path):
    (tmp_path / "b" / "a").mkdir(parents=True)
    (tmp_path / "c").write_text("")
    found = existing(str(tmp_path), ["b/a", "none", "c", "b", "b/.", "."])
    assert found == [str(tmp_path / "b" / "a"), str(tmp_path / "b"), str(tmp_path)]


def test_a_walk_follows_links_and_comes_to_each_folder_once(tmp_path):
    for name in ("set/a", "set/.git", "store/deep"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("set/a/x.png", "set/._y.png", "store/deep/z.png"):
        (tmp_path / name).write_text("")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "store")
    (tmp_path / "set" / "a" / "loop").symlink_to(tmp_path / "set")
    root = str(tmp_path / "set")
    assert list(walk(root)) == [
        (root, Listing((), ("a", "b"))),
        (f"{root}/a", Listing(("x.png",), ("loop",))),
        (f"{root}/b", Listing((), ("deep",))),
        (f"{root}/b/deep", Listing(("z.png",), ())),
    ]
    assert [place for place, _ in walk(root, 1)] == [root, f"{root}/a", f"{root}/b"]
    missing = str(tmp_path / "missing")
    assert list(walk(missing)) == [(missing, Listing((), ()))]


def test_a_folder_that_a_link_leads_to_is_the_same(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "images").symlink_to(tmp_path)
    assert existing(str(tmp_path), ["images", ".", "a"]) == [
        str(tmp_path / "images"),
        str(tmp_path / "a"),
    ]
