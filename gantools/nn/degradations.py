import torch
import torch.nn.functional as F
from torch import nn


def as_stored(x):
    return ((x + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def with_mask(x, mask):
    return torch.cat([torch.where(mask, 0.0, x), mask.float() * 2 - 1], 1)


class Degradations(nn.Module):
    def __init__(self, spelled):
        super().__init__()
        self.spelled = list(spelled)

    @classmethod
    def parse(cls, texts, where="degrade"):
        return cls(texts)

    def channels(self, n):
        for t in self.spelled:
            n = 1 if t.startswith("grey") else n + 1 if t.startswith("holes") else n
        return n

    @property
    def scale(self):
        return next((int(t.split("=")[1]) for t in self.spelled if t.startswith("smaller")), 1)

    @property
    def makes_holes(self):
        return any(t.startswith("holes") for t in self.spelled)

    def forward(self, x, random):
        for t in self.spelled:
            if t.startswith("noise"):
                x = as_stored(
                    x + torch.randn(x.shape, generator=random, device=x.device) * float(t.split("=")[1]) / 127.5
                )
            if t.startswith("smaller"):
                s = int(t.split("=")[1])
                x = as_stored(
                    F.interpolate(
                        x, size=(x.shape[2] // s, x.shape[3] // s), mode="bicubic", antialias=True, align_corners=False
                    )
                )
            if t.startswith("grey"):
                x = as_stored(
                    (x * torch.tensor([0.299, 0.587, 0.114], device=x.device).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
                )
            if t.startswith("holes"):
                m = torch.zeros(len(x), 1, *x.shape[2:], dtype=torch.bool, device=x.device)
                H, W = x.shape[2:]
                h, w = H // 2, W // 2
                top = (torch.rand(len(x), 1, 1, 1, generator=random) * (H - h + 1)).long()
                left = (torch.rand(len(x), 1, 1, 1, generator=random) * (W - w + 1)).long()
                r = torch.arange(H).reshape(1, 1, -1, 1)
                c = torch.arange(W).reshape(1, 1, 1, -1)
                m = (r >= top) & (r < top + h) & (c >= left) & (c < left + w)
                x = with_mask(x, m)
        return x
