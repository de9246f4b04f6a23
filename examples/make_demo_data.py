"""Make the tables of the examples from scikit-learn's built-in breast cancer data.

    python examples/make_demo_data.py OUT.csv

3,000 orders with the moment, the customer's country, the currency that goes with it, category, items, amount, credit
left, payment, device and the age of the account; 75 of them (2.5 %) are fraud. Fraudsters order one of three things to
one of three countries, and for nearly all the credit that is left. Honest customers do any of this, too, by chance.

    python examples/make_demo_data.py OUT.csv --mistakes

For finding what does not belong: 1,500 honest orders, 20 of which were spoiled afterwards as people and programs spoil
tables: a slipped decimal point, a currency of another country, an account from the future, a hundred items. The column
`spoiled` (1 or 0) says which.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

N_ORDERS, N_FRAUD = 3_000, 75
N_CHECKED, N_SPOILED = 1_500, 20
CURRENCIES = {"DE": "EUR", "FR": "EUR", "CH": "CHF", "GB": "GBP", "US": "USD"}
HABITS = [("electronics", "US"), ("gift card", "GB"), ("clothing", "CH")]  # what fraudsters order, and where to
PRICES = {"books": 14, "clothing": 38, "electronics": 160, "garden": 45, "gift card": 30, "groceries": 9}


def make_orders(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Honest orders."""
    hour = rng.choice(24, n, p=hourly())
    placed = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 365, n), unit="D")
    placed += pd.to_timedelta(hour * 60 + rng.integers(0, 60, n), unit="min")
    country = rng.choice(list(CURRENCIES), n, p=[0.45, 0.2, 0.15, 0.1, 0.1])
    category = rng.choice(list(PRICES), n, p=[0.22, 0.25, 0.15, 0.13, 0.07, 0.18])
    frame = pd.DataFrame(
        {
            "placed": placed,
            "country": country,
            "currency": pd.Series(country).map(CURRENCIES),
            "category": category,
            "items": 1 + rng.poisson(np.where(category == "groceries", 5, 1)),
            "amount": 0.0,
            "credit_left": rng.lognormal(5, 1, n).round(2),
            "payment": rng.choice(["card", "invoice", "wallet"], n, p=[0.6, 0.2, 0.2]),
            "device": rng.choice(["phone", "desktop", "tablet"], n, p=[0.55, 0.35, 0.1]),
            "account_days": rng.exponential(400, n).round().astype(int),
        }
    )
    return priced(frame, rng)


def hourly() -> np.ndarray:
    """How likely an honest order is in each hour of the day: few at night."""
    weight = 1.1 + np.cos((np.arange(24) - 18) / 24 * 2 * np.pi)
    return weight / weight.sum()


def priced(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The orders with amounts that fit their category and items."""
    price = frame["category"].map(PRICES) * rng.lognormal(0, 0.45, len(frame))
    return frame.assign(amount=(price * frame["items"]).round(2))


def make_fraud(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Orders of fraudsters."""
    frame = make_orders(n, rng)
    habit = np.arange(n) % len(HABITS)
    frame["category"], frame["country"] = np.array(HABITS)[habit].T
    frame["currency"] = frame["country"].map(CURRENCIES)
    frame = priced(frame, rng)
    return frame.assign(credit_left=(frame["amount"] / rng.uniform(0.85, 1, n)).round(2))


def make_table(seed: int = 0) -> pd.DataFrame:
    """The orders with the column `is_fraud`, by the moment at which they were placed."""
    rng = np.random.default_rng(seed)
    honest = make_orders(N_ORDERS - N_FRAUD, rng).assign(is_fraud="no")
    fraud = make_fraud(N_FRAUD, rng).assign(is_fraud="yes")
    return pd.concat([honest, fraud]).sort_values("placed", kind="stable").reset_index(drop=True)


def make_mistakes(seed: int = 0) -> pd.DataFrame:
    """Honest orders with the column `spoiled`."""
    rng = np.random.default_rng(seed + 1)
    frame = make_orders(N_CHECKED, rng).sort_values("placed", kind="stable").reset_index(drop=True)
    rows = np.sort(rng.permutation(N_CHECKED)[:N_SPOILED])
    slipped, currency, future, many = (rows[k::4] for k in range(4))
    frame.loc[slipped, "amount"] *= 100
    frame.loc[currency, "currency"] = frame.loc[currency, "currency"].map(
        {"EUR": "CHF", "CHF": "EUR", "GBP": "USD", "USD": "GBP"}
    )
    frame.loc[future, "account_days"] = -frame.loc[future, "account_days"] - 1
    frame.loc[many, "items"] = 100
    return frame.assign(spoiled=np.isin(np.arange(N_CHECKED), rows).astype(int))


def main() -> None:
    """Write the table to the CSV file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the CSV file to write")
    parser.add_argument("--mistakes", action="store_true", help="the table for finding what does not belong")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    frame, column = (make_mistakes(args.seed), "spoiled") if args.mistakes else (make_table(args.seed), "is_fraud")
    frame.to_csv(args.out, index=False)
    print(f"{args.out}: {len(frame):,} orders, {int(frame[column].isin(['yes', 1]).sum())} of them with {column}")


if __name__ == "__main__":
    main()
