"""What a caption says: which words it has and in what order, whatever stands behind its end."""

from __future__ import annotations

import torch

from gantools.nn.captions import CaptionEncoder


def test_words_their_order_and_nothing_else_count() -> None:
    torch.manual_seed(0)
    encoder = CaptionEncoder(9, 4, 8)
    encoder.start_at(1.0)
    one, swapped, other, again, none = encoder(
        torch.tensor([[3, 5, 0, 0], [5, 3, 0, 0], [3, 6, 0, 0], [3, 5, 0, 0], [0, 0, 0, 0]])
    )
    assert torch.equal(one, again) and none.abs().max() == 0
    for different in (swapped, other):
        assert (one - different).norm() > 0.1 * one.norm()
    longer = CaptionEncoder(9, 6, 8)
    longer.load_state_dict({**encoder.state_dict(), "places": torch.cat([encoder.places, torch.randn(2, 64)])})
    assert torch.allclose(longer(torch.tensor([[3, 5, 0, 0, 0, 0]]))[0], one, atol=1e-6)


def test_features_start_at_the_size_that_is_asked_for() -> None:
    torch.manual_seed(0)
    encoder = CaptionEncoder(50, 8, 32)
    captions = torch.randint(1, 51, (200, 8))
    encoder.start_at(0.1)
    assert 0.03 < float(encoder(captions).detach().std()) < 0.3
    encoder.start_at(0.0)
    assert encoder(captions).abs().max() == 0
