"""Photographs in: sources (folders, archives), and the pipelines that feed a network."""
