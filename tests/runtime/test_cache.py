import pathlib

import platformdirs

from jaxrcnn.runtime.cache import user_cache


def test_the_variable_names_the_folder_or_else_the_user_has_one(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path))
    assert user_cache() == tmp_path
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("JAXRCNN_CACHE")
        else:
            monkeypatch.setenv("JAXRCNN_CACHE", value)
        assert user_cache() == pathlib.Path(platformdirs.user_cache_dir("jaxrcnn"))
