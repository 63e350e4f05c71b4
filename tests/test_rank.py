import pytest
import torch

from src.checks import UserError
from src.rank import check_finite


def test_rows_that_are_not_finite_are_refused_by_the_image_name() -> None:
    features = torch.rand(4, 3)
    check_finite(features, ["a", "b", "c", "d"])
    features[2, 1] = torch.nan
    with pytest.raises(UserError, match="of 1 images hold NaN or infinity, the first is c"):
        check_finite(features, ["a", "b", "c", "d"])
