"""Quantities × prices → a bill. Pure: no I/O but reading the price book that ships with the package.

Reads: rollups (schemas.analysed.Delta or rows of `scenario_metrics`), an `Architecture`, a `PriceBook`.
Promises: money is Decimal and exact; every amount names its price row; what has no price is `unpriced`, never 0.
"""
