"""Photographs in: sources (folders, archives) and the pipelines behind them."""
