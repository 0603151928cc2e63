"""Tests for kcolor.evaluation.scorers: the networks that metrics need."""

import pytest

from kcolor.errors import DataError
from kcolor.evaluation.protocol import Options
from kcolor.evaluation.scorers import find_networks
from kcolor.metrics import lpips


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    # A user who has set nothing up.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(lpips.ENVIRONMENT_VARIABLE, raising=False)


def test_the_four_published_metrics_need_no_file_of_the_users():
    options = Options()
    assert {"psnr", "ssim", "lpips", "ciede2000"} <= set(options.chosen)
    assert find_networks(options) == {"lpips": lpips.usual_weights()}


def test_named_file_is_used_instead(tmp_path):
    mine = tmp_path / "mine.safetensors"
    mine.touch()
    assert find_networks(Options(lpips_weights=mine)) == {"lpips": mine}
    with pytest.raises(DataError, match="none.safetensors: no such LPIPS weights"):
        find_networks(Options(lpips_weights=tmp_path / "none.safetensors"))


def test_default_metric_without_its_file_is_refused_not_left_out(monkeypatch, tmp_path):
    # An install that has lost the package's own file.
    monkeypatch.setattr(lpips, "usual_weights", lambda backbone: tmp_path / "gone")
    with pytest.raises(DataError, match="lpips cannot be measured: .*gone"):
        find_networks(Options())


def test_network_without_its_file_is_refused_where_it_is_asked_for():
    with pytest.raises(
        DataError, match="lpips_squeeze cannot be .*lpips_weights.py writes the file"
    ):
        find_networks(Options(metrics=["psnr", "lpips_squeeze"]))


def test_metrics_that_need_no_network_look_for_none(tmp_path):
    options = Options(metrics=["psnr"], lpips_weights=tmp_path / "none.safetensors")
    assert find_networks(options) == {}
