"""The network cut at a layer, against the whole network."""

import pytest
import torch
from torch import Tensor, nn
from torchvision import models, transforms

from src.config import Backbone as Options
from src.config.data import Data
from src.config.enums import Pooling, Resize
from src.config.validation import model_names
from src.embedding.backbone import BackboneModule
from src.embedding.backbone import load_backbone as load
from src.embedding.dataset import Batch
from src.embedding.layers import layer_join
from src.embedding.models import preset_of
from src.embedding.pooling import Output
from src.embedding.transforms import Transform, transform
from src.errors import UserError
from tests.support.embedding import MEAN, STD


class Odd(nn.Module):
    """A node that gives a pair, and one that gives no row an image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pair = nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, return_indices=True)

    def forward(self, images: Tensor) -> Tensor:
        return self.pair(self.conv(images))[0].mean(0)


class Fixed(nn.Module):
    """Takes images of 32 pixels alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images).reshape(-1, 4, 30, 30)


def untrained(layer: str, name: str = "resnet18", pooling: Pooling = Pooling.avg) -> Options:
    return Options(name=name, weights="random", layer=layer, pooling=pooling)


def pixels(side: int, n: int = 3) -> Tensor:
    """(n, side, side, 3) uint8"""
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, side, side, 3), dtype=torch.uint8, generator=draw)


def images(side: int) -> Tensor:
    """The same pixels as torchvision prepares them: (3, 3, side, side)."""
    pictures = pixels(side).permute(0, 3, 1, 2).float() / 255
    return transforms.functional.normalize(pictures, MEAN, STD)


def load_backbone(options: Options, side: int, seed: int) -> BackboneModule:
    prepare = Transform(Resize.squash, side, side, None, MEAN, STD)
    layers = layer_join(options, preset_of(options)).layers
    return load(options, [Output(layer, options.pooling) for layer in layers], prepare, seed)


def only_rows(backbone: BackboneModule, side: int) -> Tensor:
    """What it makes of the pixels, by its one layer."""
    (rows,) = backbone(pixels(side))
    return rows


def resnet(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.resnet18().eval()


def build_instead(monkeypatch: pytest.MonkeyPatch, network: nn.Module) -> nn.Module:
    """Whatever torchvision model is asked for, this network is built."""
    monkeypatch.setattr(models, "get_model", lambda *_, **__: network)
    return network.eval()


def swin(monkeypatch: pytest.MonkeyPatch) -> models.SwinTransformer:
    return build_instead(monkeypatch, models.SwinTransformer([4, 4], 8, [1, 1], [1, 1], [2, 2]))


def vit(monkeypatch: pytest.MonkeyPatch) -> models.VisionTransformer:
    return build_instead(monkeypatch, models.VisionTransformer(32, 8, 1, 2, 16, 16))


def refused(options: Options) -> str:
    """The message, one line."""
    with pytest.raises(UserError) as caught:
        load_backbone(options, 32, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@torch.inference_mode()
def test_pixels_are_normalized_as_torchvision_does() -> None:
    extractor, seen = load_backbone(untrained("layer1"), 32, 0).extractor, []
    extractor.trunk.register_forward_hook(lambda *args: seen.append(args[1][0]))
    extractor(pixels(32))
    assert torch.equal(seen[0], images(32))
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_random_weights_are_seeded() -> None:
    before = torch.get_rng_state()
    first, same, other = (load_backbone(untrained("layer1"), 32, seed) for seed in (0, 0, 1))
    expected = resnet(0).conv1.weight
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.extractor.trunk.conv1.weight, expected)
    assert torch.equal(same.extractor.trunk.conv1.weight, expected)
    assert not torch.equal(other.extractor.trunk.conv1.weight, expected)


@torch.inference_mode()
def test_avgpool_of_a_resnet_is_its_last_features() -> None:
    backbone, network, layer4 = load_backbone(untrained("avgpool"), 64, 3), resnet(3), []
    network.layer4.register_forward_hook(lambda *args: layer4.append(args[2]))
    network.fc = nn.Identity()
    rows, expected = only_rows(backbone, 64), network(images(64))
    assert rows.shape == (3, 512) and backbone.extractor.dims == {("layer4", Pooling.avg): 512}
    torch.testing.assert_close(rows, expected)
    torch.testing.assert_close(rows, layer4[0].mean((2, 3)))


@torch.inference_mode()
def test_a_node_in_the_middle() -> None:
    backbone, network, seen = load_backbone(untrained("layer2.1.conv1"), 64, 0), resnet(0), []
    network.layer2[1].conv1.register_forward_hook(lambda *args: seen.append(args[2]))
    network(images(64))
    torch.testing.assert_close(only_rows(backbone, 64), seen[0].mean((2, 3)))
    assert backbone.extractor.dims == {("layer2.1.conv1", Pooling.avg): 128}


def test_a_batch_without_rows_has_no_embeddings() -> None:
    backbone = load_backbone(untrained("layer1"), 32, 0)
    (none,) = backbone.predict_step(Batch(torch.empty(0), [], [(0, "why")]))
    (rows,) = backbone.predict_step(Batch(pixels(32), [0, 1, 2], []))
    assert (none.shape, rows.shape) == ((0, 64), (3, 64))


@torch.inference_mode()
def test_swin_maps_are_pooled_over_their_spatial_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    network = swin(monkeypatch)
    backbone = load_backbone(untrained("features", "swin_t"), 32, 0)
    assert backbone.extractor.axes == {("features", Pooling.avg): (1, 2)}
    torch.testing.assert_close(only_rows(backbone, 32), network.features(images(32)).mean((1, 2)))


def unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


@torch.inference_mode()
def test_mean_and_std_are_those_of_the_networks_maps() -> None:
    network, seen = resnet(0), []
    network.layer2.register_forward_hook(lambda *args: seen.append(args[2]))
    network(images(64))
    backbone = load_backbone(untrained("layer2", pooling=Pooling.meanstd), 64, 0)
    expected = [unit(seen[0].mean((2, 3))), unit(seen[0].std((2, 3)))]
    torch.testing.assert_close(only_rows(backbone, 64), torch.cat(expected, 1))
    assert backbone.extractor.dims == {("layer2", Pooling.meanstd): 2 * 128}


@pytest.mark.parametrize(("layer", "given"), [("layer4", "(2, 512, 1, 1)"), ("fc", "(2, 1000)")])
def test_mean_and_std_of_one_position_are_refused(layer: str, given: str) -> None:
    assert f"but {layer} gives {given}: " in refused(untrained(layer, pooling=Pooling.meanstd))


@torch.inference_mode()
def test_vit_tokens_are_averaged_or_the_first_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = vit(monkeypatch), []
    handle = network.encoder.register_forward_hook(lambda *args: seen.append(args[2]))
    network(images(32))
    handle.remove()
    average = load_backbone(untrained("encoder", "vit_b_16"), 32, 0)
    first = load_backbone(untrained("encoder", "vit_b_16", Pooling.token), 32, 0)
    torch.testing.assert_close(only_rows(average, 32), seen[0].mean(1))
    torch.testing.assert_close(only_rows(first, 32), seen[0][:, 0])
    both = load_backbone(untrained("encoder", "vit_b_16", Pooling.meanstd), 32, 0)
    patches = seen[0][:, 1:]
    expected = torch.cat([unit(patches.mean(1)), unit(patches.std(1))], 1)
    torch.testing.assert_close(only_rows(both, 32), expected)
    rest = load_backbone(untrained("encoder", "vit_b_16", Pooling.patches), 32, 0)
    torch.testing.assert_close(only_rows(rest, 32), patches.mean(1))
    grid, before = network.conv_proj(images(32)), "permute"  # the class token joins
    early = load_backbone(untrained(before, "vit_b_16", Pooling.patches), 32, 0)
    torch.testing.assert_close(only_rows(early, 32), grid.mean((2, 3)))


def test_a_network_of_one_input_size_has_maps_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build_instead(monkeypatch, Fixed())
    backbone = load_backbone(untrained("reshape"), 32, 0)
    assert backbone.extractor.axes == {("reshape", Pooling.avg): (2, 3)}
    assert backbone.extractor.dims == {("reshape", Pooling.avg): 4}
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layr1", "layers: layr1 is not a node of ResNet; did you mean layer1?"),
        ("1234", "layers: 1234 is not a node of ResNet; its stages end with "),
        ("", "backbone.layer='' has an empty name: join layers as layer3+layer4"),
    ],
)
def test_an_unknown_layer_names_those_near_it(layer: str, message: str) -> None:
    assert message in refused(untrained(layer))


@pytest.mark.parametrize(("layer", "given"), [("pair", "tuple"), ("mean", "(4, 15, 15)")])
def test_a_layer_without_a_row_an_image_is_refused(
    monkeypatch: pytest.MonkeyPatch, layer: str, given: str
) -> None:
    build_instead(monkeypatch, Odd())
    assert f"gives {given} for two images instead of a row each" in refused(untrained(layer))


@pytest.mark.parametrize("pooling", [Pooling.token, Pooling.patches])
def test_token_pooling_needs_tokens(pooling: Pooling) -> None:
    message = refused(untrained("layer1", pooling=pooling))
    assert f"pooling={pooling.name} needs a layer of tokens" in message
    assert "(2, 64, 8, 8): choose one of avg, max, gem, meanstd" in message


def test_the_transform_is_what_the_weights_expect() -> None:
    prepare = transform(
        preset_of(Options(name="resnet50")), Data(resize=Resize.pad, image_size="300")
    )
    assert (prepare.resize, prepare.size, prepare.resize_before_crop, prepare.max_side) == (
        Resize.pad,
        224,
        232,
        300,
    )
    assert (prepare.mean, prepare.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert prepare.interpolation == "bilinear"
    assert preset_of(untrained("features", "swin_t")).interpolation == "bicubic"
    assert preset_of(untrained("layer1")).crop_from == 256


def test_model_names_are_torchvisions() -> None:
    assert model_names() == sorted(models.list_models(module=models))


def test_a_backbone_is_in_evaluation_mode() -> None:
    backbone = load_backbone(untrained("layer1"), 32, 0)
    assert isinstance(backbone, BackboneModule)
    assert not any(module.training for module in backbone.extractor.modules())
    assert not any(weight.requires_grad for weight in backbone.parameters())
