from jaxrcnn.data.folders import Listing, below, existing, is_image, list_folder, walk


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


def test_images_are_known_by_their_endings():
    assert is_image("a.JPG")
    assert is_image("a.b.png")
    assert not is_image("jpg")
    assert not is_image("a.txt")


def test_paths_are_shown_from_the_root_with_slashes(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "c.txt").write_text("")
    assert below(str(tmp_path), str(tmp_path / "a" / "b")) == "a/b/"
    assert below(str(tmp_path), str(tmp_path / "a" / "c.txt")) == "a/c.txt"


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
        (root, ["a", "b"], []),
        (f"{root}/a", [], ["x.png"]),
        (f"{root}/b", ["deep"], []),
        (f"{root}/b/deep", [], ["z.png"]),
    ]
    assert [place for place, _, _ in walk(root + "/", 1)] == [f"{root}/", f"{root}/a", f"{root}/b"]
    assert list(walk(str(tmp_path / "missing"))) == []


def test_a_folder_that_a_link_leads_to_is_the_same(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "images").symlink_to(tmp_path)
    assert existing(str(tmp_path), ["images", ".", "a"]) == [
        str(tmp_path / "images"),
        str(tmp_path / "a"),
    ]
