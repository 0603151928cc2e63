"""Tests for kcolor.training.stages: what trains when."""

import pytest

from kcolor.training.options import FitOptions
from kcolor.training.stages import Stage, learning_rate, plan_stages


def test_a_plain_run_is_one_stage():
    assert plan_stages(FitOptions("unet", "run", epochs=5)) == [Stage(0, 5)]


def test_freezing_and_pretraining_end_stages_of_their_own():
    options = FitOptions("pix2pix", "run", epochs=6, freeze_epochs=1, pretrain_epochs=4)
    assert plan_stages(options) == [
        Stage(0, 1, frozen=True, adversarial=False),
        Stage(1, 4, frozen=False, adversarial=False),
        Stage(4, 6, frozen=False, adversarial=True),
    ]


@pytest.mark.parametrize(
    "schedule, steps",
    [
        ("cosine", {0: 0.0, 5: 0.5, 10: 1.0, 55: 0.505, 100: 0.01}),
        ("one-cycle", {0: 0.0, 15: 0.5, 30: 1.0, 65: 0.505, 100: 0.01}),
        ("constant", {0: 0.0, 5: 0.5, 10: 1.0, 100: 1.0}),
    ],
)
def test_learning_rate_follows_its_schedule(schedule, steps):
    options = FitOptions("unet", "run", learning_rate=1.0, schedule=schedule)
    course = learning_rate(options, 100)
    for step, rate in steps.items():
        assert float(course(step)) == pytest.approx(rate, abs=1e-6), step
