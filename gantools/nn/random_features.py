"""What an untrained convolutional net sees of images: enough to notice bad ones while a generator trains."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AT_ONCE = 256  # images whose maps are held at one time: larger ones leave a CPU's caches


class RandomFeatures(nn.Module):
    """What an untrained convolutional net sees, beside small copies of the images: enough to notice bad images.

    Random convolutions keep distances between images (Giryes et al. 2016, 'Deep Neural Networks with Random Gaussian
    Weights'); means and deviations over an image say what textures it has, the small copy where things are.
    """

    scale: Tensor

    def __init__(self, channels: int, width: int = 16, n_levels: int = 3, side: int = 7) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        kernels, before = [], channels
        for level in range(n_levels):
            after = width << level
            kernel = torch.randn(after, before, 3, 3, generator=random) * (2 / (9 * before)) ** 0.5
            kernels.append(nn.Parameter(kernel, requires_grad=False))
            before = after
        self.kernels = nn.ParameterList(kernels)
        self.side = side
        self.register_buffer("scale", torch.ones(channels * side**2 + 2 * sum(width << k for k in range(n_levels))))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Let every feature count alike on images x [N, C, S, S]."""
        self.scale.fill_(1.0)
        self.scale.copy_(self(x).std(0).clamp(min=1e-3))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, S, S] in [-1, 1]. Returns [N, n_features]."""
        return torch.cat([self._of(part) for part in torch.split(x, AT_ONCE)]) / self.scale

    def _of(self, x: Tensor) -> Tensor:
        found = [F.adaptive_avg_pool2d(x, self.side).flatten(1)]
        for kernel in self.kernels:
            x = F.leaky_relu(F.conv2d(x, kernel, padding=1), 0.2)
            mean = x.mean((2, 3), keepdim=True)
            # torch's own `std` takes longer on a CPU than the convolutions.
            found += [mean.flatten(1), (x - mean).square().mean((2, 3)).sqrt()]
            x = F.avg_pool2d(x, 2)
        return torch.cat(found, 1)
