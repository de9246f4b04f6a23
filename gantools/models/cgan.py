"""Conditional GAN: the condition stands beside the input of both nets."""

from __future__ import annotations

from gantools.models.mlp import NonsaturatingGAN
from gantools.registry import register


@register
class ConditionalGAN(NonsaturatingGAN):
    name = "cgan"
    summary = "the label is given to both nets"
    paper = "Mirza and Osindero 2014, 'Conditional Generative Adversarial Nets'"
