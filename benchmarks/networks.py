"""The convolutional networks of `examples/models` in torch.nn, written apart from the diagrams.

VGG and ResNet have the names of torchvision's weights, the others those of the diagrams. `convolutional`
compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from comparisons import Theirs


def lenet(sizes: Mapping[str, int]) -> Theirs:
    from torch import nn
    from torch.nn import functional as F

    module = nn.Module()
    module.conv1, module.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 3, padding=1)
    module.fc1, module.fc2, module.fc3 = nn.Linear(64, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        h = batch["x"].view(-1, 1, 8, 8) / 16
        for conv in (module.conv1, module.conv2):
            h = F.max_pool2d(conv(h).tanh(), 2)
        z = module.fc3(module.fc2(module.fc1(h.flatten(1)).tanh()).tanh())
        return [z.softmax(-1)], F.cross_entropy(z, batch["y"])

    return Theirs(module, run)


def autoencoder(sizes: Mapping[str, int]) -> Theirs:
    from torch import nn
    from torch.nn import functional as F

    c, code = sizes.get("C", 16), sizes.get("CODE", 8)
    module = nn.Module()
    module.encoder, module.decoder = nn.Module(), nn.Module()
    module.encoder.conv1 = nn.Conv2d(1, c, 3, stride=2, padding=1)
    module.encoder.conv2 = nn.Conv2d(c, 2 * c, 3, stride=2, padding=1)
    module.encoder.fc = nn.Linear(8 * c, code)
    module.decoder.fc = nn.Linear(code, 8 * c)
    module.decoder.up1 = nn.ConvTranspose2d(2 * c, c, 2, stride=2)
    module.decoder.up2 = nn.ConvTranspose2d(c, 1, 2, stride=2)
    module.reader = nn.Linear(code, 10)

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        encoder, decoder = module.encoder, module.decoder
        image = batch["x"].view(-1, 1, 8, 8) / 16
        h = encoder.fc(encoder.conv2(encoder.conv1(image).relu()).relu().flatten(1))
        small = decoder.fc(h).relu().view(-1, 2 * c, 2, 2)
        again = decoder.up2(decoder.up1(small).relu()).sigmoid()
        reading = F.cross_entropy(module.reader(h.detach()), batch["y"])
        return [h, again], F.mse_loss(again, image) + reading

    return Theirs(module, run)


VGG_11 = ((1,), (2,), (4, 4), (8, 8), (8, 8))
"""The channels of the convolutions of each stage, in those of the first."""


def vgg(sizes: Mapping[str, int]) -> Theirs:
    """torchvision's vgg11 without its adaptive pool, which does nothing to images of 224 pixels."""
    from torch import nn
    from torch.nn import functional as F

    w, side = sizes["W"], sizes["S"]
    layers: list[Any] = []
    renames: list[str] = []
    channels = sizes.get("C", 3)
    for stage, widths in enumerate(VGG_11, 1):
        for i, width in enumerate(widths):
            renames.append(f"features.{len(layers)}.*=stage{stage}.layers.{i}.conv.*")
            layers += [nn.Conv2d(channels, width * w, 3, padding=1), nn.ReLU()]
            channels = width * w
        layers.append(nn.MaxPool2d(2))
    module = nn.Module()
    module.features = nn.Sequential(*layers)
    module.classifier = nn.Sequential(
        nn.Linear(channels * (side // 32) ** 2, sizes["F"]), nn.ReLU(), nn.Dropout(),
        nn.Linear(sizes["F"], sizes["F"]), nn.ReLU(), nn.Dropout(), nn.Linear(sizes["F"], sizes["K"]),
    )  # fmt: skip
    renames += [f"classifier.{n}.*=fc{6 + i}.*" for i, n in enumerate((0, 3, 6))]

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        z = module.classifier(module.features(batch["x"]).flatten(1))
        return [z], F.cross_entropy(z, batch["y"])

    return Theirs(module, run, {"rename": renames})


def unet(sizes: Mapping[str, int]) -> Theirs:
    import torch
    from torch import nn
    from torch.nn import functional as F

    def double(channels: int, width: int) -> Any:
        made = nn.Module()
        made.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        made.conv2 = nn.Conv2d(width, width, 3, padding=1)
        return made

    def twice(part: Any, x: Any) -> Any:
        return part.conv2(part.conv1(x).relu()).relu()

    levels = [2**i * sizes["W"] for i in range(5)]
    names = ("down1", "down2", "down3", "down4", "bottom")
    module = nn.Module()
    for name, before, width in zip(names, (sizes.get("C", 1), *levels), levels, strict=False):
        module.add_module(name, double(before, width))
    for i in range(4, 0, -1):
        part = nn.Module()
        part.up = nn.ConvTranspose2d(levels[i], levels[i - 1], 2, stride=2)
        part.both = double(levels[i], levels[i - 1])
        module.add_module(f"up{i}", part)
    module.scores = nn.Conv2d(levels[0], sizes.get("K", 2), 1)

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        h, seen = batch["image"], []
        for name in names[:-1]:
            seen.append(twice(getattr(module, name), h))
            h = F.max_pool2d(seen[-1], 2)
        h = twice(module.bottom, h)
        for i in range(4, 0, -1):
            part = getattr(module, f"up{i}")
            h = twice(part.both, torch.cat([seen[i - 1], part.up(h)], dim=1))
        scores = module.scores(h)
        return [scores.permute(0, 2, 3, 1).softmax(-1)], F.cross_entropy(scores, batch["mask"])

    return Theirs(module, run)


TORCHVISION = (
    "layer*.0.downsample.0.*=layer*.first.downsample.conv.*",
    "layer*.0.downsample.1.*=layer*.first.downsample.bn.*",
    "layer*.0.*=layer*.first.*",
    "layer*.1.*=layer*.second.*",
)
"""From the names of torchvision's resnet18 to those of resnet18.flow."""


def basic(channels: int, width: int, stride: int = 1, narrow: bool = False) -> Any:
    """torchvision's BasicBlock; narrow: whether its input goes through a convolution too."""
    from torch import nn

    class Basic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            beside = (nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            self.downsample = nn.Sequential(*beside if narrow else ())

        def forward(self, x: Any) -> Any:
            h = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
            return (h + self.downsample(x)).relu()

    return Basic()


def residual(sizes: Mapping[str, int]) -> Theirs:
    from torch import nn
    from torch.nn import functional as F

    w = sizes["W"]
    module = nn.Module()
    module.h = nn.Sequential(basic(sizes["C"], w, 2, narrow=True), basic(w, w))
    module.z = nn.Linear(w, sizes["K"])

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        z = module.z(module.h(batch["x"]).mean((2, 3)))
        return [z], F.cross_entropy(z, batch["y"])

    return Theirs(module, run, {"rename": [pair.replace("layer*", "h") for pair in TORCHVISION]})


def resnet18(sizes: Mapping[str, int]) -> Theirs:
    """With the names of torchvision's resnet18."""
    from torch import nn
    from torch.nn import functional as F

    w = sizes["W"]
    module = nn.Module()
    module.conv1 = nn.Conv2d(sizes.get("C", 3), w, 7, 2, padding=3, bias=False)
    module.bn1 = nn.BatchNorm2d(w)
    module.layer1 = nn.Sequential(basic(w, w), basic(w, w))
    for i, width in ((2, 2 * w), (3, 4 * w), (4, 8 * w)):
        first = basic(width // 2, width, 2, narrow=True)
        module.add_module(f"layer{i}", nn.Sequential(first, basic(width, width)))
    module.fc = nn.Linear(8 * w, sizes["K"])

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        h = F.max_pool2d(module.bn1(module.conv1(batch["x"])).relu(), 3, 2, padding=1)
        for layer in (module.layer1, module.layer2, module.layer3, module.layer4):
            h = layer(h)
        z = module.fc(F.adaptive_avg_pool2d(h, 1).flatten(1))
        return [z], F.cross_entropy(z, batch["y"])

    return Theirs(module, run, {"rename": list(TORCHVISION)})


BUILDERS: dict[str, Callable[[Mapping[str, int]], Theirs]] = {
    f.__name__: f for f in (lenet, autoencoder, vgg, unet, residual, resnet18)
}
