"""A table's rules, kept in rows that are made: one module, which exports with the generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gantools.data.tables.rules import Rule, is_one
from gantools.data.tables.schema import Schema

PASSES = 2  # in which pairs that are the wrong way round are exchanged


class RuleKeeper(nn.Module):
    """Changes the cells of raw rows that break a rule, and no others.

    What is decided follows from what decides it, a sum from its parts. Of a pair that is the wrong way round the two
    numbers are exchanged. Of columns exactly one of which is one, the first that is stays, or the last becomes one.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.rules: Sequence[Rule] = schema.rules
        self.numeric = {name: place for place, name in enumerate(schema.numeric)}
        self.categorical = {name: place for place, name in enumerate(schema.categorical)}
        one_hot = [name for rule in self.rules if rule.sort == "one-hot" for name in rule.columns]
        flags = [name for name in one_hot if name in self.categorical]
        self.ones = {name: [is_one(level) for level in schema[name].levels].index(True) for name in flags}
        for place, rule in enumerate(self.rules):
            values = torch.tensor(rule.values, dtype=torch.float64)
            self.register_buffer(f"values{place}", values, persistent=False)

    def forward(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """numbers: [N, n_numeric] float64. codes: [N, n_blocks] int64. Returns the same, the rules kept."""
        if not self.rules:
            return numbers, codes
        number, code = list(numbers.unbind(1)), list(codes.unbind(1))
        for place, rule in enumerate(self.rules):
            if rule.sort == "one-hot":
                self._keep_one(rule, number, code)
            elif rule.sort == "decides":
                self._decide(rule, self.get_buffer(f"values{place}"), number, code)
        orders = [[self.numeric[name] for name in rule.columns] for rule in self.rules if rule.sort == "order"]
        for _ in range(PASSES if orders else 0):
            for low, high in orders:
                number[low], number[high] = (
                    torch.minimum(number[low], number[high]).where(~_missing(number, low, high), number[low]),
                    torch.maximum(number[low], number[high]).where(~_missing(number, low, high), number[high]),
                )
        for low, high in orders:  # the lowest first, so that this keeps them all
            number[high] = torch.maximum(number[low], number[high]).where(~_missing(number, low, high), number[high])
        for rule in self.rules:
            if rule.sort == "sum":
                total, *parts = (self.numeric[name] for name in rule.columns)
                number[total] = torch.stack([number[part] for part in parts]).sum(0)
        return torch.stack(number, 1) if number else numbers, torch.stack(code, 1) if code else codes

    def _decide(self, rule: Rule, values: Tensor, number: list[Tensor], code: list[Tensor]) -> None:
        name, other = rule.columns
        decided = values[code[self.categorical[name]].clamp(0, len(values) - 1)]
        if other in self.numeric:
            number[self.numeric[other]] = decided
        else:
            code[self.categorical[other]] = decided.long()

    def _keep_one(self, rule: Rule, number: list[Tensor], code: list[Tensor]) -> None:
        flags = torch.stack(
            [
                number[self.numeric[name]] == 1
                if name in self.numeric
                else code[self.categorical[name]] == self.ones[name]
                for name in rule.columns
            ],
            1,
        )
        before = flags.long().cumsum(1) - flags.long()
        first = flags & (before == 0)
        none = ~flags.any(1)
        for place, name in enumerate(rule.columns):
            is_one = first[:, place] | none if place == len(rule.columns) - 1 else first[:, place]
            if name in self.numeric:
                number[self.numeric[name]] = is_one.to(number[self.numeric[name]].dtype)
            else:
                one = self.ones[name]
                code[self.categorical[name]] = torch.where(is_one, one, 1 - one)


def _missing(number: Sequence[Tensor], low: int, high: int) -> Tensor:
    return torch.isnan(number[low]) | torch.isnan(number[high])
