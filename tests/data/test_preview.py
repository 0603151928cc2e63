"""Tests for kcolor.data.preview: the sheet shows what training draws."""

import numpy as np
import pytest

from kcolor.color.graph import join
from kcolor.data.batches import training_batches
from kcolor.data.preview import preview
from kcolor.data.source import open_source
from kcolor.errors import DataError


@pytest.mark.parametrize("degrade", [0.0, 1.0])
def test_sheet_holds_the_first_batch_of_a_run(degrade):
    sheet = preview([], size=64, count=3, degrade=degrade, seed=5)
    assert sheet.shape == (20 + 3 * 64, 2 * 64, 3)
    batches = iter(training_batches(open_source(None), 64, 3, 5, degrade=degrade))
    lightness, target = (np.asarray(part) for part in next(batches))
    truth = np.asarray(join(target[..., :1], target[..., 1:]))
    np.testing.assert_array_equal(sheet[20:, 64:], np.concatenate(truth))
    seen = sheet[20:, :64]
    assert (seen == seen[..., :1]).all()  # gray
    gray = np.asarray(join(lightness, np.zeros_like(target[..., 1:])))
    np.testing.assert_array_equal(seen, np.concatenate(gray))


def test_bad_file_is_named(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(DataError, match="a.png: not a readable"):
        preview([tmp_path], size=32, count=1)
