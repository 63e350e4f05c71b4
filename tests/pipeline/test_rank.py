import logging

import pytest
import torch

from src.config.enums import Accelerator
from src.errors import UserError
from src.pipeline.prepare import check_finite
from src.pipeline.rank import comparison_device


def test_rows_that_are_not_finite_are_refused_by_the_image_name() -> None:
    features = torch.arange(12.0).reshape(4, 3)
    check_finite(features, ["a", "b", "c", "d"])
    features[2, 1] = torch.nan
    with pytest.raises(UserError, match="of 1 images hold NaN or infinity, the first is c"):
        check_finite(features, ["a", "b", "c", "d"])


@pytest.mark.parametrize("accelerator", [Accelerator.mps, Accelerator.auto])
def test_apples_gpu_does_not_compare_and_the_log_says_so(accelerator, monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with caplog.at_level(logging.INFO):
        assert comparison_device(accelerator) == "cpu"
    assert "comparing on the CPU, because MPS has no float64" in caplog.text


def test_other_devices_compare_where_they_embed(monkeypatch, caplog):
    assert comparison_device(Accelerator.cpu) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert comparison_device(Accelerator.gpu) == "cuda:0"
    assert comparison_device(Accelerator.auto) == "cuda:0"
    assert not caplog.text
