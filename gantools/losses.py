"""Adversarial losses and penalties: pure functions, tensors in, tensor out.

Throughout, `real` and `fake` are the discriminator's logits [N] of real and of generated samples. Every function
returns a scalar to be minimised; nothing here steps an optimiser.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_nonsaturating(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross entropy of telling real from generated. Goodfellow et al. 2014, 'Generative Adversarial Nets', eq. 1.

    smoothing: one-sided label smoothing, real samples are asked for 1 - smoothing (Salimans et al. 2016, section 3.4).
    """
    wanted = torch.full_like(real, 1.0 - smoothing)
    return F.binary_cross_entropy_with_logits(real, wanted) + F.softplus(fake).mean()


def generator_nonsaturating(fake: Tensor) -> Tensor:
    """Maximise log D(G(z)) rather than minimise log(1 - D(G(z))). Goodfellow et al. 2014, section 3."""
    return F.softplus(-fake).mean()


def discriminator_wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """Minus the critic's estimate of the Wasserstein distance. Arjovsky et al. 2017, 'Wasserstein GAN', algorithm 1."""
    return fake.mean() - real.mean()


def generator_wasserstein(fake: Tensor) -> Tensor:
    """Arjovsky et al. 2017, algorithm 1."""
    return -fake.mean()


def discriminator_relativistic(real: Tensor, fake: Tensor) -> Tensor:
    """Each real sample is paired with a generated one and should look more real than it.

    Jolicoeur-Martineau 2019, 'The relativistic discriminator'; Huang et al. 2024, 'The GAN is dead; long live the
    GAN!', eq. 2. This is the Bradley-Terry likelihood of choosing the real one, so that the best critic is, up to a
    constant, the logarithm of the density ratio between real and generated samples.
    """
    return F.softplus(fake - real).mean()


def generator_relativistic(real: Tensor, fake: Tensor) -> Tensor:
    """The mirror image of `discriminator_relativistic`."""
    return F.softplus(real - fake).mean()


def gradient_norm_penalty(logits: Tensor, x: Tensor) -> Tensor:
    """Mean squared gradient norm of the discriminator at x: R1 at real samples, R2 at generated ones.

    logits: [N]. x: [N, ...], the leaf that produced them, requires grad. Mescheder et al. 2018, 'Which Training Methods
    for GANs do actually Converge?', eq. 9.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean()


def interpolation_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """How far the critic's gradient norm is from one between real and generated samples.

    critic: maps samples [N, ...] to logits [N]. share: [N], uniform on (0, 1), where between the two to look.
    Gulrajani et al. 2017, 'Improved Training of Wasserstein GANs', eq. 3.
    """
    share = share.reshape(-1, *[1] * (real.dim() - 1))
    # In float32 as real samples are: under autocast a net's output may be bfloat16, which does not mix with it.
    x = torch.lerp(fake.detach().float(), real.detach().float(), share).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1.0).square().mean()
