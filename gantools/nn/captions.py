"""Text as features: words and their places through one block of self-attention, learned along with what needs them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 64  # of the features of a word
N_HEADS = 4


class CaptionEncoder(nn.Module):
    """Captions to features. Vaswani et al. 2017, 'Attention Is All You Need': one block, layers normalised first.

    vocabulary: words there are, with codes from 1 on; 0 stands behind the end of a caption. n_words: of the longest.
    width: of the features.
    """

    def __init__(self, vocabulary: int, n_words: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary + 1, WIDTH)
        self.places = nn.Parameter(torch.zeros(n_words, WIDTH))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.asked = nn.Linear(WIDTH, 3 * WIDTH)
        self.joined = nn.Linear(WIDTH, WIDTH)
        self.wider, self.narrower = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.last = nn.Linear(WIDTH, width, bias=False)

    def start_at(self, scale: float) -> None:
        """Draw the weights anew, so that features have about this standard deviation; 0 for none at the start."""
        nn.init.normal_(self.words.weight)
        nn.init.normal_(self.places, std=0.5)
        for layer in (self.asked, self.joined, self.wider, self.narrower):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.last.weight, std=scale / math.sqrt(WIDTH))

    def forward(self, caption: Tensor) -> Tensor:
        """caption: [N, n_words] int64 codes. Returns [N, width]."""
        is_word = caption > 0
        x = self.words(caption) + self.places
        n, length, _ = x.shape
        parts = self.asked(self.norms[0](x)).reshape(n, length, 3, N_HEADS, WIDTH // N_HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        heard = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        heard = heard.masked_fill(~is_word[:, None, None, :], -1e4).softmax(-1)
        x = x + self.joined((heard @ value).transpose(1, 2).reshape(n, length, WIDTH))
        x = x + self.narrower(F.gelu(self.wider(self.norms[1](x))))
        counted = is_word.unsqueeze(2).to(x.dtype)
        return self.last((x * counted).sum(1) / counted.sum(1).clamp(min=1))
