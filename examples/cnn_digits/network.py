"""The network that a configuration describes: a stem, stages of blocks, a head that ends in probabilities."""

from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a convolution with its normalization."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """Two convolutions (or those of a MobileNet) beside a shortcut, as in a ResNet; `plain` has no shortcut."""

    def __init__(self, kind: str, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion if kind == "mobilenet" else outputs
        if kind == "mobilenet":
            widen = [conv(inputs, inner, 1), nn.ReLU(), conv(inner, inner, kernel, stride, groups=inner)]
        else:
            widen = [conv(inputs, inner, kernel, stride)]
        layers = [*widen, nn.ReLU(), conv(inner, outputs, 1 if kind == "mobilenet" else kernel)]
        self.body = nn.Sequential(*layers)
        self.shortcut = None
        if kind != "plain":
            same = inputs == outputs and stride == 1
            self.shortcut = nn.Identity() if same else conv(inputs, outputs, 1, stride)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return self.act(y if self.shortcut is None else y + self.shortcut(x))


def build(shape: tuple[int, int, int], classes: int, model_args: dict) -> nn.Sequential:
    """Build the network; the last layer is the softmax, the one before gives logits."""
    width = model_args["stem_width"]
    layers: list[nn.Module] = [conv(shape[0], width), nn.ReLU()]
    for index in range(model_args["stages"]):
        stage = {name: model_args[f"stages[{index}].{name}"] for name in ("depth", "width", "kernel", "block")}
        expansion = model_args.get(f"stages[{index}].block.mobilenet.expansion", 1)
        for place in range(stage["depth"]):
            stride = 2 if place == 0 and model_args[f"stages[{index}].downsample"] else 1
            layers.append(
                Block(stage["block"], width, stage["width"], kernel=stage["kernel"], stride=stride, expansion=expansion)
            )
            width = stage["width"]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(model_args["dropout"]), nn.Linear(width, classes)]
    return nn.Sequential(*layers, *head, nn.Softmax(dim=1))
