import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.training.files import check_whole, write_list


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_bytes(b"12345")
    (tmp_path / "empty").touch()
    write_list(tmp_path)
    return tmp_path


def complaint(folder):
    with pytest.raises(ConfigError) as caught:
        check_whole(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_folder_passes_wherever_it_is(folder, tmp_path):
    check_whole(folder)
    (folder / "more").write_text("is no matter")
    check_whole(folder.rename(tmp_path.with_name("moved")))


@pytest.mark.parametrize("content", [b"", b"1234", b"123456"])
def test_a_file_of_another_size_is_named(folder, content):
    (folder / "d" / "a").write_bytes(content)
    expected = f"{folder}/d/a has {len(content)} bytes, not 5; copy the whole folder again"
    assert complaint(folder) == expected


def test_a_missing_file_is_named(folder):
    (folder / "empty").unlink()
    said = f"{folder}/empty: No such file or directory; copy the whole folder again"
    assert complaint(folder) == said


def test_a_torn_list_is_named_and_without_one_nothing_is_known(folder):
    (folder / "files.json").write_text('{"d/a":')
    assert complaint(folder).startswith(f"{folder}/files.json cannot be read (")
    (folder / "files.json").unlink()
    (folder / "empty").unlink()
    check_whole(folder)
