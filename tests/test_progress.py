"""How far long work has come, where there is no terminal."""

import pytest

from kcolor import progress


def test_plain_lines_tell_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_INTERVAL", 0)
    with progress.progress_bar("Measured") as show:
        show(1, 3)
        show(2, 3, failed=1)
        show(3, 3, failed=1)
    first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith("Measured 1 of 3 pictures, ")
    assert first.endswith(" s left")
    assert second.startswith("Measured 2 of 3 pictures, 1 failed, ")
    assert last == "Measured 3 of 3 pictures."


@pytest.mark.parametrize("say_end", [True, False])
def test_short_work_says_at_most_that_it_is_done(capsys, say_end):
    with progress.progress_bar("Measured", say_end) as show:
        for done in range(8):
            show(done, 7)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["Measured 7 of 7 pictures."] * say_end
