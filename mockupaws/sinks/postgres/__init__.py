"""Analysed requests to rows, rollups and receipts, with their offsets, in one transaction."""
