import re
import time
from unittest import mock

import numpy as np
import pytest

from jaxrcnn.config import Config, TrainConfig
from jaxrcnn.training.errors import NonFiniteLossError
from jaxrcnn.training.log import Log


def test_diagnostics_have_a_line_of_their_own_that_is_no_mean():
    lines = []
    writer = mock.Mock(write=lambda step, values: lines.append((step, dict(values))))
    progress = mock.MagicMock(clock=time.monotonic)
    log = Log(Config(train=TrainConfig(batch_size=2)), writer, progress)
    rows = [{"loss": np.float32(k), "learning_rate": np.float32(1)} for k in (1, 2, 3)]
    log.add(rows[0])
    log.add({**rows[1], "diagnostics/width/1": np.float32(7), "diagnostics/cosine/open": np.nan})
    log.add(rows[2])
    log.flush(12)  # what is not finite there stops no run
    (first, measured), (last, means) = lines
    assert first == 11
    assert measured.pop("diagnostics/width/1") == 7
    assert np.isnan(measured.pop("diagnostics/cosine/open"))
    assert measured == {}
    assert last == 12
    assert means["train/loss"] == 2
    assert means.keys() == {"train/loss", "train/learning_rate", "train/images_per_second"}


def test_the_padded_share_is_a_mean_over_the_steps_of_a_line():
    writer, progress = mock.Mock(), mock.MagicMock(clock=time.monotonic)
    log = Log(Config(), writer, progress)
    for shares in ((0.25, 0.5), (0.125,)):
        for share in shares:
            log.add({"loss": np.float32(1)}, share)
        log.flush(4)
    written = [call.args[1]["data/padded_share"] for call in writer.write.call_args_list]
    assert written == [0.375, 0.125]


def test_the_speed_is_that_of_the_steps_alone():
    """The progress's clock leaves out what is no training, such as compiling."""
    now = [100.0]
    writer, progress = mock.Mock(), mock.MagicMock(clock=lambda: now[0])
    log = Log(Config(train=TrainConfig(batch_size=8)), writer, progress)
    row = {"loss": np.float32(2.5), "learning_rate": np.float32(1)}
    log.add(row)
    log.show(1)
    progress.log.assert_called_once_with(1, 2.5)
    log.add(row)
    now[0] += 4
    log.flush(2)
    (written,) = writer.write.call_args_list
    assert written.args[1]["train/images_per_second"] == 2 * 8 / 4
    progress.log.assert_called_with(2, 2.5, 4.0)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where():
    log = Log(
        Config(),
        mock.Mock(),
        mock.MagicMock(clock=time.monotonic),
        lambda index: f"image-{index}.jpg",
    )
    row = {"loss": np.float32(1), "loss_box_reg": np.float32(1), "learning_rate": np.float32(1)}
    origin = {"origin_place": 4, "origin_image": 8, "origin_box": 17}
    corners = {f"origin_{name}": 0.5 * k for k, name in enumerate(("x0", "y0", "x1", "y1"))}
    log.add(row)
    log.add({**row, "loss": np.nan, "loss_box_reg": np.inf, **origin, **corners, "skipped": 1})
    log.add({**row, "skipped": 1})  # begun before the one before it was looked at
    expected = (
        "step 12: loss, loss_box_reg are not finite (first seen in the box head's box deltas for "
        "image image-8.jpg, RoI 17 at (0.0, 0.5, 1.0, 1.5)). Its update was not made"
    )
    with pytest.raises(NonFiniteLossError, match=re.escape(expected)) as caught:
        log.flush(13)
    assert caught.value.step == 12


def test_a_norm_that_overflows_is_no_divergence_but_a_gradient_that_is_not_finite_is_one():
    log = Log(Config(), mock.Mock(), mock.MagicMock(clock=time.monotonic))
    row = {"loss": np.float32(1), "gradient_norm": np.inf, "learning_rate": np.float32(1)}
    log.add({**row, "origin_place": -1, "origin_image": -1, "skipped": 0})
    log.flush(4)
    log.add({**row, "origin_place": 7, "origin_image": -1, "skipped": 1})
    with pytest.raises(NonFiniteLossError, match=r"step 5: gradient_norm is .*'s gradient"):
        log.flush(5)


def test_steps_that_are_skipped_are_counted_said_and_in_no_mean():
    written, said = [], []
    writer = mock.Mock(write=lambda step, values: written.append((step, dict(values))))
    progress = mock.MagicMock(clock=iter(range(100)).__next__, message=said.append)
    log = Log(Config(train=TrainConfig(on_nonfinite="skip", max_skipped=2)), writer, progress)
    fine, bad = {"origin_place": -1, "origin_image": -1}, {"origin_place": 7, "origin_image": -1}
    log.add({"loss": np.float32(3), "skipped": 0, **fine})
    log.add({"loss": np.nan, "skipped": 1, **bad})
    log.flush(2)
    log.add({"loss": np.nan, "skipped": 1, **bad})
    log.flush(3)
    assert said[0].startswith("step 2: loss is not finite (first seen in the backbone's gradient)")
    assert len(said) == 2
    assert [(step, row["train/skipped"], row.get("train/loss")) for step, row in written] == [
        *((2, 1, 3), (3, 1, None))
    ]
    log.add({"loss": np.nan, "skipped": 2, **bad})
    with pytest.raises(NonFiniteLossError, match=r"step 4: .*the last of 2 such steps in a row"):
        log.flush(4)
