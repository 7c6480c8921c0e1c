"""Losses: pure functions, one value per example, no network, optimiser, device or file."""
